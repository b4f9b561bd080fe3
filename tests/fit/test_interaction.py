"""Cells in co-culture: what a ligand adds, and where no culture tells it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import t as student
from small_laws import certain

from semimech import DataError
from semimech.baselines import fit_baseline
from semimech.data import CellSystem, Dataset
from semimech.data.scale import log1p_scale
from semimech.experiment import Condition, Context, Edit, Experiment, Harvest, Period, SetMedia, Wait
from semimech.fit.interaction import Signalling, signal, with_interaction, without_culture

GENES = ("LIG", "REC", "DOWN", "OTHER")
SHARES = {"a": 0.0, "b": 0.4, "c": 0.8}
ANSWER = np.array([0.0, 0.0, 1.5, 0.0])


def condition(medium, *edits, hours=48.0):
    return Condition(history=(Period(context=Context(medium=medium, edits=edits), hours=hours),))


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


@pytest.mark.parametrize(
    ("medium", "shares", "edit", "label", "axes"),
    [
        ("b", None, (), "observed", ""),
        ("new", {"control": 0.8, "LIG": 0.2}, (), "interpolated", "culture"),
        ("new", {"control": 0.1, "LIG": 0.9}, (), "extrapolated", "culture"),
        ("new", {"control": 0.8, "LIG": 0.2}, (Edit(gene="GENE5"),), "extrapolated", "edit, culture"),
        ("new", {"control": 0.8, "LIG": 0.2}, (Edit(gene="DOWN"),), "interpolated", "culture"),
    ],
)
def test_a_mixture_between_those_harvested_is_interpolated_and_one_beyond_them_extrapolated(
    data, medium, shares, edit, label, axes
):
    model = with_interaction(data, certain_baseline, signalling(**({} if shares is None else {medium: shares})))
    (period,) = condition(medium, *edit).history
    (wait, harvest) = (Wait(hours=period.hours), Harvest(label="end"))
    found = model.predict([Experiment(id="asked", steps=(SetMedia(name=medium), *edit, wait, harvest))])
    assert found.obs["coverage"].tolist() == [label]
    assert found.obs["coverage_axes"].tolist() == [axes]


def certain_baseline(data):
    return fit_baseline("additive", data)


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
    answers = with_interaction(data, additive, signalling()).answers[48.0].slope
    assert answers[0, 2] == pytest.approx(1.5, rel=0.05)
    assert np.abs(answers[0, [0, 1, 3]]).max() < 0.05


def test_one_culture_tells_nothing_of_the_ligand(data):
    alone = data.subset([i for i, c in enumerate(data.conditions) if c.medium == "b"])
    model = with_interaction(alone, additive, signalling())
    assert (model.answers[48.0].slope == 0).all()
    np.testing.assert_allclose(model.predict_conditions([condition("b")]).mean[0], alone.mean[0], atol=1e-6)


def at(data, hours, *, answer=1.0):
    """The same conditions at another time, where cultures differ so many times as much."""
    alike = data.mean.reshape(len(SHARES), -1, len(GENES))
    return replace(
        data,
        conditions=tuple(condition(c.medium, *c.edits, hours=hours) for c in data.conditions),
        mean=(alike[:1] + answer * (alike - alike[:1])).reshape(data.mean.shape),
    )


def test_settled_cells_answer_as_at_the_last_harvest_and_settled_data_are_data(data):
    late = at(data, 96.0, answer=2.0)
    both = replace(
        data,
        conditions=data.conditions + late.conditions,
        mean=np.vstack([data.mean, late.mean]),
        standard_error=np.vstack([data.standard_error] * 2),
        n_cells=np.concatenate([data.n_cells] * 2),
    )
    model = with_interaction(both, additive, signalling())
    found = model.predict_conditions([condition("c", hours=h) for h in (48.0, 96.0, np.inf)]).mean[:, 2]
    assert found[0] - found[1] == pytest.approx((1.0 - field(0.8)) * 1.5, abs=0.05)
    assert found[2] == pytest.approx(found[1], abs=1e-9)
    settled = with_interaction(at(data, np.inf), additive, signalling())
    mean = settled.predict_conditions([condition("c", hours=np.inf)]).mean[0]
    assert mean[2] == pytest.approx(2.0 + (field(0.8) - 1.0) * 1.5, abs=0.02)


def test_intervals_grow_with_the_signal_that_is_carried_beyond_what_was_seen(data):
    """Under a certain law the interval is Student's, of least squares on cultures of one edit."""
    rng = np.random.default_rng(1)
    noisy = replace(data, mean=data.mean + 0.3 * rng.standard_normal(data.mean.shape))
    told = signalling(far={"control": 0.0, "LIG": 1.0})
    asked = [condition("a"), condition("far")]
    found = with_interaction(noisy, certain(additive), told).predict_conditions(asked)
    half = (found.upper - found.lower) / 2.0
    left = 15 - 5 - 1
    signals = np.array([signal(noisy, told, c)[0] for c in noisy.conditions]).reshape(3, 5)
    x = (signals - signals.mean(axis=0)).ravel()
    y = (noisy.mean.reshape(3, 5, 4) - noisy.mean.reshape(3, 5, 4).mean(axis=0)).reshape(15, 4)
    slope = x @ y / (x @ x)
    error = np.sqrt(((y - np.outer(x, slope)) ** 2).sum(axis=0) / left / (x @ x))
    lack = np.array([signal(noisy, told, c)[0] for c in asked]) - 1.0
    np.testing.assert_allclose(half, student.ppf(0.95, left) * np.abs(lack)[:, None] * error, rtol=1e-6, atol=1e-9)
    assert half[1].min() > 0.1


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
