"""Cells in co-culture: what a ligand adds, and where no culture tells it."""

from __future__ import annotations

import numpy as np
import pytest

from semimech import DataError
from semimech.baselines import fit_baseline
from semimech.data import CellSystem, Dataset
from semimech.data.scale import log1p_scale
from semimech.experiment import Condition, Context, Edit, Period
from semimech.fit.interaction import Signalling, with_interaction, without_culture

GENES = ("LIG", "REC", "DOWN", "OTHER")
SHARES = {"a": 0.0, "b": 0.4, "c": 0.8}
ANSWER = np.array([0.0, 0.0, 1.5, 0.0])


def condition(medium, *edits):
    return Condition(history=(Period(context=Context(medium=medium, edits=edits), hours=48.0),))


def field(share):
    return 2.0 * (1.0 - share) / (2.0 - share)


@pytest.fixture
def data():
    """Means of edits that add to the answer of a receptor; cells without it hear nothing."""
    rng = np.random.default_rng(0)
    edits = [(), *((Edit(gene=g),) for g in GENES)]
    own = {e: 0.3 * rng.standard_normal(4) * (np.array(GENES) != "REC") for e in edits}
    own[()] = np.zeros(4)
    base = np.array([3.0, 3.0, 2.0, 2.0])
    rows, means = [], []
    for medium, share in SHARES.items():
        for e in edits:
            hears = 0.0 if e and e[0].gene == "REC" else np.expm1((base + own[e])[1]) / np.expm1(base[1])
            rows.append(condition(medium, *e))
            means.append(base + own[e] + (hears * field(share) - 1.0) * ANSWER)
    noise = 0.002 * rng.standard_normal((len(rows), 4))
    return Dataset(
        genes=GENES,
        conditions=tuple(rows),
        mean=np.array(means) + noise,
        standard_error=np.full((len(rows), 4), 0.002),
        n_cells=np.full(len(rows), 50),
        scale=log1p_scale(),
        system=CellSystem(genes=GENES, media=tuple(SHARES)),
    )


def signalling(**given):
    cultures = {name: {"control": 1.0 - share, "LIG": share} for name, share in SHARES.items()}
    return Signalling(pairs=(("LIG", "REC"),), cultures=cultures | given)


def additive(part):
    return fit_baseline("additive", part)


def test_an_unseen_mixture_is_predicted_from_the_ligand_in_it(data):
    model = with_interaction(data, additive, signalling(new={"control": 0.4, "LIG": 0.6}))
    found = model.predict_conditions([condition("new"), condition("new", Edit(gene="REC")), condition("a")])
    assert found.mean[0, 2] == pytest.approx(2.0 + (field(0.6) - 1.0) * 1.5, abs=0.02)
    deaf = data.mean[data.index[condition("a", Edit(gene="REC"))], 2]  # cells without the receptor are the same in all
    assert found.mean[1, 2] == pytest.approx(deaf, abs=0.02)
    np.testing.assert_allclose(found.mean[2], [3.0, 3.0, 2.0, 2.0], atol=0.02)


def test_genes_that_do_not_answer_are_left_alone(data):
    answers = with_interaction(data, additive, signalling()).answers[48.0]
    assert answers[0, 2] == pytest.approx(1.5, rel=0.05)
    assert np.abs(answers[0, [0, 1, 3]]).max() < 0.05


def test_one_culture_tells_nothing_of_the_ligand(data):
    alone = data.subset([i for i, c in enumerate(data.conditions) if c.medium == "b"])
    model = with_interaction(alone, additive, signalling())
    assert (model.answers[48.0] == 0).all()
    np.testing.assert_allclose(model.predict_conditions([condition("b")]).mean[0], alone.mean[0], atol=1e-6)


def test_without_its_culture_a_condition_is_in_the_maintenance_medium():
    late = Condition(
        history=(
            Period(context=Context(medium="a"), hours=5.0),
            Period(context=Context(medium="b"), hours=7.0),
            Period(context=Context(medium="other"), hours=1.0),
        )
    )
    plain = without_culture(late, signalling())
    assert [(p.context.medium, p.hours) for p in plain.history] == [(None, 12.0), ("other", 1.0)]


def test_faults_are_told_together(data):
    wrong = Signalling(pairs=(("LIG", "NONE"),), cultures={"a": {"control": 0.5, "FAR": 0.5}})
    with pytest.raises(DataError, match=r"'NONE' is not on the panel[\s\S]*'FAR' of a culture were not harvested"):
        with_interaction(data, additive, wrong)
    with pytest.raises(DataError, match="add up to 1"):
        Signalling(pairs=(("LIG", "REC"),), cultures={"a": {"control": 0.5}})
