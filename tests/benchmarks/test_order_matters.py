"""What the order benchmark trains on and compares with."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from benchmarks.order_matters import (
    LATE,
    SWITCH,
    asked,
    edit_first,
    medium_first,
    ratio,
    simple_predictions,
    training_conditions,
)

from semimech.data import CellSystem, dataset_from_means, log1p_scale

GENES = ("A", "B", "C")


def test_no_condition_with_the_medium_before_the_edit_is_trained_on():
    trained = training_conditions(GENES)
    queries = {medium_first(gene, late) for gene in GENES for late in LATE}
    assert len(set(trained)) == len(trained)
    assert not queries & set(trained)
    assert {edit_first(gene, late) for gene in GENES for late in LATE} <= set(trained)
    assert {q.hours for q in queries} == {SWITCH + late for late in LATE}


def test_baselines_add_what_each_step_does_alone():
    conditions = training_conditions(GENES)
    mean = np.random.default_rng(0).uniform(1.0, 2.0, (len(conditions), 3))
    system = CellSystem(name="test", media=("M",))
    data = dataset_from_means(GENES, conditions, mean, scale=log1p_scale(), system=system)
    at = lambda text: mean[conditions.index(asked(text))]
    found = simple_predictions(data, "B", 24)
    control, total = data.control_mean(), SWITCH + 24
    medium = at(f"medium M > wait {total}h")
    np.testing.assert_allclose(found["A then B as measured"], mean[conditions.index(edit_first("B", 24))])
    np.testing.assert_allclose(found["additive"], at(f"edit B > wait {total}h") + medium - control)
    np.testing.assert_allclose(found["additive in own durations"], at("edit B > wait 24h") + medium - control)


def test_the_ratio_is_the_geometric_mean_over_worlds():
    table = pd.DataFrame(
        {"world": [0, 0, 1, 1], "method": ["model", "simple"] * 2, "mse": [0.1, 0.2, 0.2, 1.6]},
    )
    value, low, high, won = ratio(table, "model", "simple", np.random.default_rng(0))
    assert value == pytest.approx(0.25)
    assert 0.125 <= low <= value <= high <= 0.5
    assert won == 2
