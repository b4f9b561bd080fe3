"""Levers: what a budget buys, what learning curves and the model's own world foretell, and what is refused."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from small_data import condition, dataset, genes

from semimech._errors import ConfigError
from semimech.data import Dataset
from semimech.data.split import Split
from semimech.design import Costs, OwnWorld, Screening, levers, purchases
from semimech.design.beliefs import STRETCH, Typical, believed, variance_of_mean
from semimech.fit import FitConfig, FittedModel
from semimech.predictor import Prediction

N_GENES, EDITS, TIMES, N_CELLS = 40, 12, (24.0, 48.0, 96.0), 100
CONFIG = FitConfig(residual_hidden=1)


class MeanOfEdits(FittedModel):
    """Predicts an edited condition by the mean of all edited conditions; its law knows no more."""

    def __init__(self, data: Dataset) -> None:
        self.data = data
        self.genes = data.genes
        self.record = SimpleNamespace(config=CONFIG)

    def by_law(self, conditions):
        edited = self.data.mean[~self.data.is_control].mean(axis=0)
        return np.array([0.0 * edited if c.is_control else edited for c in conditions])

    def predict_conditions(self, conditions):
        return Prediction.without_interval(self.by_law(conditions))

    def network(self):
        names = list(self.genes)
        return pd.DataFrame({"source": names[:-1], "target": names[1:], "weight": 1.0, "spread": 0.0})


def screen(*, effect_sd: float, cell_sd: float, seed: int = 0) -> tuple[Dataset, Split]:
    """Edits with effects of their own, with halves."""
    rng = np.random.default_rng(seed)
    conditions = [condition(name, t) for name in ("control", *genes(EDITS)) for t in TIMES]
    own = effect_sd * np.repeat(rng.normal(size=(EDITS + 1, N_GENES)), len(TIMES), axis=0)
    own[: len(TIMES)] = 0.0
    error = cell_sd * np.sqrt(2 / N_CELLS)
    halves = own + error * rng.normal(size=(2, *own.shape))
    data = dataset(conditions, halves.mean(axis=0), standard_error=cell_sd / np.sqrt(N_CELLS), halves=halves)
    tested = np.arange(len(conditions)) >= len(TIMES) * (1 + EDITS - 4)
    return data, Split(name="unseen_edit", train=np.flatnonzero(~tested), test=np.flatnonzero(tested))


@pytest.fixture
def stub(monkeypatch):
    """Fits that take no time."""
    import importlib

    module = importlib.import_module("semimech.design.levers")
    monkeypatch.setattr(module, "fit", lambda data, config, **_: MeanOfEdits(data))


def test_a_budget_is_never_exceeded_and_buys_what_it_says():
    data, split = screen(effect_sd=1.0, cell_sd=1.0)
    costs = Costs(cell=2.0, time=100.0, edit=50.0)
    bought = {p.lever: p for p in purchases(data, split, costs, 3000.0)}
    assert set(bought) == {"cells", "controls", "times", "edits"}
    now = data.n_cells[split.train].sum()
    for lever, purchase in bought.items():
        more = purchase.screening.cells.sum() - now
        extra = {"times": 100.0, "edits": 50.0 * (len(purchase.screening.conditions) - len(split.train)) / len(TIMES)}
        assert purchase.cost == pytest.approx(2.0 * more + extra.get(lever, 0.0))
        assert purchase.cost <= 3000.0
    tested = {e.gene for row in split.test for e in data.conditions[row].edits}
    assert tested.isdisjoint(e.gene for c in bought["edits"].screening.conditions for e in c.edits)
    new = [c for c in bought["times"].screening.conditions if c not in data.index]
    assert {c.hours for c in new} == {72.0}  # the middle of the longest interval
    assert bought["cells"].growth == pytest.approx(1 + 1500 // 24 * 24 / (24 * N_CELLS))


def test_the_own_world_errs_as_means_of_so_many_cells_do():
    data, _ = screen(effect_sd=1.0, cell_sd=1.0)
    world = OwnWorld(model=MeanOfEdits(data), dataset=data)
    screen_ = Screening(conditions=data.conditions, cells=np.full(len(data.conditions), 25))
    drawn = [
        world.simulate(screen_, rng=np.random.default_rng(s)).mean - world.truth(data.conditions) for s in range(20)
    ]
    assert np.var(drawn) == pytest.approx(1 / 25, rel=0.05)


def test_two_mirrored_screens_of_the_own_world_average_to_its_truth():
    data, _ = screen(effect_sd=1.0, cell_sd=1.0)
    world = OwnWorld(model=MeanOfEdits(data), dataset=data)
    pair = [world.simulate(world.measured, sign=sign, rng=np.random.default_rng(3)).mean for sign in (1.0, -1.0)]
    assert np.mean(pair, axis=0) == pytest.approx(world.truth(data.conditions))
    assert not np.isclose(pair[0], pair[1]).any()


def told(**columns) -> pd.DataFrame:
    """One lever as it is foretold."""
    row = {"lever": "edits", "gain": 0.5, "fall_data": 0.2, "fall_world": 0.4, "spread": 0.1}
    return pd.DataFrame([row | columns])


TYPICAL = {"edits": Typical(fall=0.1, spread=0.4, doubt=0.3)}


def test_what_is_believed_is_the_mean_of_two_normal_laws_by_precision():
    """The prior 0.1 ± 0.4 of an error of 2 at half of all growth, and 0.3 ± √(0.1² + 0.3²) foretold."""
    found = believed(told(), error=2.0, level=0.9, typical=TYPICAL).iloc[0]
    precision = np.array([1 / 0.4**2, 1 / (0.1**2 + 0.3**2)])
    assert found["typical"] == pytest.approx(0.1)
    assert found["fall"] == pytest.approx((precision @ [0.1, 0.3]) / precision.sum())
    half = STRETCH * 1.6448536 / np.sqrt(precision.sum())
    assert [found["lower"], found["upper"]] == pytest.approx([found["fall"] - half, found["fall"] + half])


def test_where_nothing_is_bought_nothing_falls_and_where_nothing_is_typical_the_answer_stands():
    nothing = believed(told(gain=0.0, fall_data=0.0, fall_world=0.0, spread=0.0), error=1.0, level=0.9).iloc[0]
    assert nothing["fall"] == nothing["lower"] == nothing["upper"] == 0.0
    other = believed(told(lever="another", fall_data=np.nan), error=1.0, level=0.9).iloc[0]
    assert other["fall"] == pytest.approx(0.4) and np.isnan(other["typical"]) and other["lower"] < 0.4 < other["upper"]


def test_the_variance_of_a_mean_is_that_of_its_edits_and_screens():
    """Six edits of four conditions each that err together, and eight screens, over many repetitions."""
    rng, edits = np.random.default_rng(0), np.repeat([f"e{k}" for k in range(6)], 4)
    by_edit, by_screen = 2.0 * rng.normal(size=(3000, 6)), 3.0 * rng.normal(size=(3000, 8))
    found = [
        variance_of_mean(screen[:, None] + np.repeat(edit, 4), edits)
        for edit, screen in zip(by_edit, by_screen, strict=True)
    ]
    assert np.mean(found) == pytest.approx(4 / 6 + 9 / 8, rel=0.03)


def test_edits_help_where_effects_differ_and_cells_help_where_they_are_noisy(stub):
    rng = np.random.default_rng(0)
    differ, split = screen(effect_sd=1.0, cell_sd=0.1)
    table = levers(differ, split, CONFIG, budget=1200.0, n_worlds=1, rng=rng).table.set_index("lever")
    assert table["fall_data"].drop("edits").abs().max() < 0.1 * table.loc["edits", "fall_data"]
    # the mean of m edits errs by their variance over m: half of them, 1/4 - 1/8 more, and half again as many take off a third of that
    assert table.loc["edits", "fall_data"] == pytest.approx((1 / 4 - 1 / 8) * (1 - 1 / 1.5), rel=0.5)
    alike, split = screen(effect_sd=0.0, cell_sd=20.0)
    found = levers(alike, split, CONFIG, budget=2400.0, n_worlds=4, rng=rng)
    table = found.table.set_index("lever")
    # 24 means of 100 cells err by 400/2400; twice the cells take off half of it
    assert table.loc["cells", "fall_world"] == pytest.approx(400 / 2400 / 2, rel=0.5)
    assert table.loc["controls", "fall_world"] == pytest.approx(0.0, abs=1e-9)
    assert found.table.loc[0, "lever"] in ("cells", "edits", "times")


def test_the_order_is_by_fall_per_cost_and_what_is_free_and_no_help_stands_last(stub):
    data, split = screen(effect_sd=1.0, cell_sd=1.0)
    table = levers(data, split, FitConfig(), n_worlds=1, rng=np.random.default_rng(0)).table
    paid = table[table["cost"] > 0]
    assert paid["per_cost"].is_monotonic_decreasing
    assert paid["per_cost"].to_numpy() == pytest.approx((paid["fall"] / paid["cost"]).to_numpy())
    assert set(table["lever"][len(paid) :]) == {"prior", "learned residual"}  # the stub makes nothing of either


def test_a_budget_that_buys_nothing_and_a_fit_to_cells_are_errors_that_say_what_to_do():
    data, split = screen(effect_sd=1.0, cell_sd=1.0)
    with pytest.raises(ConfigError, match="give more"):
        levers(data, split, CONFIG, budget=1.0, rng=np.random.default_rng(0))
    with pytest.raises(ConfigError, match="use likelihood = 'pseudobulk'"):
        levers(data, split, FitConfig(likelihood="counts"), rng=np.random.default_rng(0))
    with pytest.raises(ConfigError, match=r"(?s)time must be 0 or more.*cell must be above 0"):
        Costs(cell=0.0, time=-1.0)
