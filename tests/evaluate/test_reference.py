from __future__ import annotations

import numpy as np
import pytest
from small_data import condition, dataset

from semimech.evaluate.reference import condition_label, earlier_harvests, is_earlier, measured_scene, strata
from semimech.experiment import parse_experiment


def at(text):
    return parse_experiment(text).conditions["harvest"]


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ("edit A > wait 24h > harvest", "edit A > wait 48h > harvest", True),
        ("edit A > wait 48h > harvest", "edit A > wait 48h > harvest", False),
        ("edit A > wait 48h > harvest", "edit A > wait 24h > harvest", False),
        ("edit B > wait 24h > harvest", "edit A > wait 48h > harvest", False),
        ("wait 24h > harvest", "edit A > wait 48h > harvest", False),
        ("edit A > wait 24h > harvest", "edit A > wait 24h > medium M > wait 24h > harvest", True),
        ("edit A > wait 36h > harvest", "edit A > wait 24h > medium M > wait 24h > harvest", False),
        ("edit A > wait 24h > harvest", "edit A > wait 24h > edit B > wait 24h > harvest", False),
        ("edit A > wait 24h > medium M > wait 2h > harvest", "edit A > wait 24h > medium M > wait 9h > harvest", True),
        ("edit A > wait 24h > harvest", "edit A > wait settled > harvest", True),
    ],
)
def test_an_earlier_harvest_is_the_same_protocol_cut_short(before, after, expected):
    assert is_earlier(at(before), at(after)) is expected


def test_the_latest_earlier_harvest_is_taken():
    conditions = [condition("A", t) for t in (24, 48, 72)] + [condition("B", 72)]
    data = dataset(conditions, np.ones((4, 2)))
    assert list(earlier_harvests(data, np.arange(4))) == [-1, 0, 1, -1]


def test_effects_fall_into_strata_by_what_can_be_told_from_noise():
    effect = {"control": 0.0, "G0": 0.0, "G1": 0.5, "G2": 0.6, "G3": 4.0, "G4": 5.0}
    mean = 10.0 + np.outer(list(effect.values()), np.ones(12))
    mean[1, 0] = 2.0  # only its own target
    data = dataset([condition(p, 48) for p in effect], mean, standard_error=0.05)
    assert strata(data) == ("none", "none", "small", "small", "large", "large")


def test_without_standard_errors_no_effect_is_called_none():
    mean = 10.0 + np.outer([0.0, 1.0, 2.0], np.ones(4))
    data = dataset([condition(p, 48) for p in ("control", "G0", "G1")], mean, standard_error=np.nan)
    assert strata(data) == ("none", "small", "large")


def test_the_error_of_pooled_controls_falls_with_their_number():
    conditions = [condition("control", t) for t in (24, 48, 72, 96)] + [condition("G0", 48)]
    data = dataset(conditions, np.ones((5, 3)), standard_error=0.2)
    assert measured_scene(data, np.array([4])).control_error == pytest.approx(np.full((1, 3), 0.1))


def test_labels_tell_conditions_apart():
    texts = [
        "edit A > wait 48h > harvest",
        "edit A crispri 0.5 > wait 48h > harvest",
        "edit A > wait 24h > medium M > wait 24h > harvest",
        "medium M > edit A > wait 48h > harvest",
        "edit A > wait settled > harvest",
        "wait 48h > harvest",
    ]
    labels = [condition_label(at(text)) for text in texts]
    assert labels[0] == "A, 48 h"
    assert labels[2] == "A, 24 h; A, M, 24 h"
    assert len(set(labels)) == len(texts)
