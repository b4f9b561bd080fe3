from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from semimech import ConfigError, DataError
from semimech.data import dataset_from_anndata, dataset_from_means, identity_scale
from semimech.design import (
    Components,
    Layout,
    Request,
    allocate,
    audit,
    effect_variance,
    gain_of_controls,
    layout_of,
    variance_components,
)
from semimech.experiment import parse_experiment


def screen(obs: pd.DataFrame, *, seed: int = 0, **keys):
    """A data set of two genes whose counts have a batch effect."""
    import anndata as ad

    rng = np.random.default_rng(seed)
    codes = pd.Categorical(obs["batch"]).codes
    counts = rng.poisson(np.exp(0.3 * rng.normal(size=(codes.max() + 1, 6)))[codes] * 20).astype(np.float32)
    obs.index = [f"c{i}" for i in range(len(obs))]
    return dataset_from_anndata(ad.AnnData(counts, obs=obs, var=pd.DataFrame(index=list("ABCDEF"))), **keys)


def rows(*kinds: tuple[str, str, float, int]) -> pd.DataFrame:
    return pd.concat(
        [pd.DataFrame({"perturbation": p, "batch": b, "hours": t}, index=range(n)) for p, b, t, n in kinds],
        ignore_index=True,
    )


LAYOUT = Layout(
    conditions=("control", "good", "linked", "apart", "thin"),
    batches=("a", "b", "c"),
    cells=np.array([[100, 0, 0], [50, 50, 0], [0, 60, 0], [0, 0, 70], [2, 90, 0]]),
    control=np.zeros(5, dtype=int),
)


def test_the_audit_names_what_cannot_be_told_and_what_is_inflated():
    known = Components(cell=1.0, batch=0.1)
    found = audit(LAYOUT, known)
    table = found.effects.set_index("effect")
    assert table["verdict"].to_dict() == {
        "good": "good",
        "linked": "only through other edits",
        "apart": "not estimable",
        "thin": "inflated",
    }
    assert not found.is_sound
    bare = 1 / 92 + 1 / 100
    assert table.loc["thin", "inflation_within"] == pytest.approx((1 / 2 + 1 / 100) / bare)
    assert table.loc["apart", "se_naive"] == pytest.approx(np.sqrt(1 / 70 + 1 / 100 + 2 * 0.1))
    assert np.isinf(table.loc["linked", "se_within"])


def test_controls_are_worth_most_where_edited_cells_have_none():
    found = audit(LAYOUT, Components(cell=1.0, batch=0.1))
    gains = gain_of_controls(found, 40).set_index("batch")
    assert gains.loc["b", "effects_gained"] == gains.loc["c", "effects_gained"] == 1
    assert gains.loc["a", "effects_gained"] == 0
    assert gains["saved_within"].idxmax() == "b"
    before = [1 / 50 + 1 / 100, 1 / 2 + 1 / 100]
    after = [1 / 50 + 1 / 140, 1 / 2 + 1 / 140]
    assert gains.loc["a", "saved_within"] == pytest.approx(
        np.mean([1 - y / x for x, y in zip(before, after, strict=True)])
    )
    with pytest.raises(ConfigError, match="1 or more"):
        gain_of_controls(found, 0)


def test_an_allocation_passes_its_own_audit():
    known = Components(cell=1.0, batch=0.2, interaction=0.01)
    made = allocate(Request(edits=tuple("abcdefgh"), n_batches=4, capacity=300.0, components=known, edits_per_batch=4))
    found = audit(made.layout, known)
    assert found.is_sound
    assert found.effects["se_within"].max() == pytest.approx(made.standard_error)


def test_controls_of_all_times_are_one_pool_where_unedited_cells_stand_still():
    obs = rows(
        *[("control", b, t, 20) for b in "xy" for t in (24.0, 48.0)],
        *[("A", b, t, 10) for b in "xy" for t in (24.0, 48.0)],
    )
    layout, row = layout_of(screen(obs))
    assert layout.conditions == ("control", "A at 24 h", "A at 48 h")
    assert layout.batches == ("x", "y")
    assert layout.cells.tolist() == [[40, 40], [10, 10], [10, 10]]
    assert (np.bincount(row) == [80, 20, 20]).all()


def test_controls_are_matched_in_time_where_cells_differentiate():
    obs = rows(
        *[("control", "x", t, 20) for t in (24.0, 48.0)],
        *[("A", "x", t, 10) for t in (24.0, 48.0, 72.0)],
    )
    layout, _ = layout_of(screen(obs, differentiating=True))
    names = np.array(layout.conditions)
    matched = {names[k]: names[layout.control[k]] for k in layout.edited if layout.control[k] >= 0}
    assert matched == {"A at 24 h": "control at 24 h", "A at 48 h": "control at 48 h"}
    verdicts = audit(layout, Components(cell=1.0)).effects.set_index("effect")["verdict"]
    assert verdicts["A at 72 h"] == "not estimable"


def test_components_of_a_data_set_see_its_batch_effect_although_means_are_free_of_it():
    obs = rows(*[(p, b, 24.0, 40) for b in "uvwxyz" for p in ("control", "A", "B")])
    table = variance_components(screen(obs)).table
    assert (table["batch"] > 3 * table["interaction"]).mean() > 0.8
    assert (table["batch_lower"] > 0).mean() > 0.8


def test_without_controls_nothing_can_be_told_and_no_gain_is_listed():
    layout = Layout(conditions=("A", "B"), batches=("x",), cells=np.array([[5], [6]]), control=np.array([-1, -1]))
    found = audit(layout, Components(cell=1.0))
    assert set(found.effects["verdict"]) == {"not estimable"} and (found.effects["controls"] == 0).all()
    assert gain_of_controls(found, 10).empty


def test_means_alone_have_no_layout():
    conditions = [parse_experiment(f"{text}wait 24h > harvest").conditions["harvest"] for text in ("", "edit A > ")]
    dataset = dataset_from_means(["A", "B"], conditions, np.ones((2, 2)), scale=identity_scale())
    with pytest.raises(DataError, match="only means"):
        variance_components(dataset)
    assert effect_variance(LAYOUT, Components(cell=1.0)).naive.shape == (4,)
