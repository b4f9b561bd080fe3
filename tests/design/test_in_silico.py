from __future__ import annotations

import anndata as ad
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from fitted_by_hand import by_hand
from small_laws import ROSTER, mechanistic

from semimech import ConfigError, DataError, ExperimentError
from semimech.design import edit_experiments, in_silico, in_silico_screen, shortlist_pairs

GENES = ROSTER.genes
SINGLES = edit_experiments([(gene,) for gene in ROSTER.regulators], hours=(6.0, 24.0))


@pytest.fixture(scope="module")
def model():
    return by_hand(mechanistic(0), mechanistic(1), max_step_hours=3.0)


@pytest.fixture(autouse=True)
def blocks_of_two(monkeypatch):
    monkeypatch.setattr(in_silico, "BLOCK", 2)


def opened(path) -> ad.AnnData:
    return ad.read_h5ad(path) if path.suffix == ".h5ad" else ad.read_zarr(path)


@pytest.mark.parametrize("ending", [".h5ad", ".zarr"])
def test_a_screen_holds_what_is_predicted_one_by_one_and_unedited_cells_first(model, tmp_path, ending):
    path, seen = tmp_path / f"screen{ending}", []
    in_silico_screen(model, SINGLES, path, progress=lambda *said: seen.append(said))
    made, asked = opened(path), model.predict(SINGLES)
    assert list(made.obs["experiment"]) == ["control"] * 2 + [g for g in ROSTER.regulators for _ in range(2)]
    np.testing.assert_array_equal(made.obs["hours"], [6.0, 24.0] * 6)
    np.testing.assert_allclose(made.X[2:], asked.X, rtol=1e-6)
    for layer in ("lower", "upper"):
        np.testing.assert_allclose(made.layers[layer][2:], asked.layers[layer], rtol=1e-6)
    assert list(made.obs["coverage"][2:]) == list(asked.obs["coverage"])
    pd.testing.assert_index_equal(made.var_names, asked.var_names)
    assert seen == [(2, 6), (4, 6), (6, 6)]
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("ending", [".h5ad", ".zarr"])
def test_an_interrupted_screen_goes_on_where_it_stopped_and_ends_the_same(model, tmp_path, monkeypatch, ending):
    whole, path = tmp_path / f"whole{ending}", tmp_path / f"screen{ending}"
    in_silico_screen(model, SINGLES, whole)

    def stop(done: int, total: int) -> None:
        if done == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        in_silico_screen(model, SINGLES, path, progress=stop)
    assert not path.exists()
    predicted = []
    predict = type(model).predict
    monkeypatch.setattr(type(model), "predict", lambda self, asked: predicted.append(asked) or predict(self, asked))
    in_silico_screen(model, SINGLES, path)
    assert [e.id for e in predicted[0]] == [e.id for e in SINGLES[3:]]
    made, wanted = opened(path), opened(whole)
    np.testing.assert_array_equal(made.X, wanted.X)
    pd.testing.assert_frame_equal(made.obs, wanted.obs)


def test_what_was_begun_for_another_question_is_not_gone_on_with(model, tmp_path):
    path = tmp_path / "screen.h5ad"

    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        in_silico_screen(model, SINGLES, path, progress=stop)
    other = by_hand(mechanistic(2), mechanistic(3), max_step_hours=3.0)
    in_silico_screen(other, SINGLES, path)
    np.testing.assert_allclose(opened(path).X[2:], other.predict(SINGLES).X, rtol=1e-6)


def test_pairs_that_share_no_target_and_do_not_meet_are_ranked_last_and_add_up(model, tmp_path):
    """A acts on C, B on C, D on nothing: only A and B meet."""
    weight = np.zeros((4, 5))
    weight[2, :2] = -1.0
    law = mechanistic(0, weight=jnp.asarray(weight), edit_effect=jnp.zeros(4), bias=jnp.zeros(4))
    lone = by_hand(law, max_step_hours=3.0)
    settled = edit_experiments([("A",), ("B",), ("D",), ("A", "B"), ("A", "D"), ("B", "D")])
    in_silico_screen(lone, settled, tmp_path / "s.h5ad")
    made = opened(tmp_path / "s.h5ad")
    assert shortlist_pairs(made[:4], 1) == (("A", "B"),)
    others = list(GENES).index("C")
    change = dict(zip(made.obs["experiment"], made.X[:, others] - made.X[0, others], strict=True))
    for pair, meets in ((("A", "B"), True), (("A", "D"), False), (("B", "D"), False)):
        gap = change["+".join(pair)] - sum(change[gene] for gene in pair)
        assert (abs(gap) > 0.01 * max(map(abs, change.values()))) == meets


def test_an_edit_that_acts_through_another_is_ranked_before_one_that_does_not():
    """A moves B, and B moves D; C moves D too, but neither of the others."""
    changes = {"control": [0, 0, 0, 0], "A": [0, -1, 0, 0.0], "B": [0, 0, 0, -1.0], "C": [0, 0, 0, -0.5]}
    obs = pd.DataFrame({"perturbation": list(changes), "harvest": "settled"}, index=list(changes))
    singles = ad.AnnData(np.array(list(changes.values()), np.float32), obs=obs, var=pd.DataFrame(index=list("ABCD")))
    assert shortlist_pairs(singles, 3) == (("A", "B"), ("B", "C"), ("A", "C"))


def test_every_fault_of_a_question_is_told_before_anything_is_written(model, tmp_path):
    with pytest.raises(ExperimentError, match="nothing asked"):
        in_silico_screen(model, (), tmp_path / "s.h5ad")
    with pytest.raises(ExperimentError, match="two experiments are named 'A'"):
        in_silico_screen(model, edit_experiments([("A",), ("A",)]), tmp_path / "s.h5ad")
    with pytest.raises(DataError, match="'Q1' (?s:.*)'Q2'"):
        in_silico_screen(model, edit_experiments([("Q1",), ("Q2",)]), tmp_path / "s.h5ad")
    with pytest.raises(ConfigError, match=".h5ad or .zarr"):
        in_silico_screen(model, SINGLES, tmp_path / "s.csv")
    with pytest.raises(ExperimentError, match="-2 h(?s:.*)3 h stands twice"):
        edit_experiments([("A",)], hours=(-2.0, 3.0, 3.0))
    assert not list(tmp_path.iterdir())
