r"""Levers: which buys the largest fall of held-out error: more cells, controls, times or edits, known wiring, or a term of the law.

Two answers, which err in different ways:

* *data*: the model is refitted with half of the cells, controls, times or edits of the training data. Under :math:`E(u) = a + c/u` growth by a factor
  :math:`r` lowers the error by :math:`(E(u/2) - E(u))(1 - 1/r)`. A network or a term that is there to be tried is tried.
* *world*: the fitted law is taken for the truth, the screen is made in it as it was and with what the budget buys, and both are fitted
  (`semimech.design.own_world`). It knows no misfit of the law.

The data's curve is too flat for cells, times and edits, and the world, knowing no misfit, promises too much of edits. The mean of the two is drawn towards what a lever typically brings
(`semimech.design.beliefs`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
import pandas as pd
from jaxtyping import Float

from semimech._errors import ConfigError
from semimech.data import Dataset, Split
from semimech.data.split import check_leakage
from semimech.design.beliefs import believed, variance_of_mean
from semimech.design.own_world import OwnWorld
from semimech.design.purchases import Costs, Purchase, purchases
from semimech.fit import FitConfig, FittedModel, fit
from semimech.fit.problem import edited_genes
from semimech.model import PriorNetwork

LEVERS = ("cells", "controls", "times", "edits", "prior", "learned residual", "steady-state loss")
"""What can be pulled."""
_FALSE_SHARE = 0.2
_LEAST_SHARE = 0.1
_EDGES_PER_GENE = 2
_HIDDEN = 8

_Errors: TypeAlias = Float[np.ndarray, " condition"]


@dataclass(frozen=True, kw_only=True)
class Levers:
    """What each lever is expected to bring.

    Parameters
    ----------
    table
        One row per lever, best first: ``lever``, ``buys`` in words, ``cost``, ``gain`` (1 - 1/r for growth by a factor r); ``fall_data`` and ``fall_world``, the expected fall of the mean squared error on
        held-out conditions (genes that are not edited, square of the observed scale), NaN where one cannot say; ``spread``, the standard deviation of their mean over held-out edits and simulated
        screens; ``typical``, what the lever brings in screens at large, NaN where that is not known; ``fall``, what is believed, with the interval ``lower`` to ``upper``, see
        `semimech.design.beliefs`; ``share`` of the error now; and ``per_cost``, the fall per unit of cost, NaN for what costs nothing. What costs nothing and surely helps stands first.
    error
        Mean squared error on held-out conditions as it is, noise of their measurement included.
    without_noise
        The same freed of noise, a tenth of it at least.
    """

    table: pd.DataFrame
    error: float
    without_noise: float


@dataclass(frozen=True, kw_only=True)
class _Bench:
    """Where levers are tried: fits of training data, and their squared errors on held-out conditions."""

    dataset: Dataset
    split: Split
    config: FitConfig
    prior: PriorNetwork | None
    say: Callable[[str], None]

    def fit(
        self, data: Dataset, label: str, *, prior: PriorNetwork | None = None, config: FitConfig | None = None
    ) -> FittedModel:
        self.say(label)
        targets = tuple({e.gene for c in self.dataset.conditions for period in c.history for e in period.context.edits})
        return fit(data, config or self.config, prior=prior or self.prior, targets=targets)

    def errors(self, model: FittedModel, truth: Float[np.ndarray, "condition gene"]) -> _Errors:
        """Mean over genes that are not edited of the squared error of each held-out condition."""
        test = [self.dataset.conditions[row] for row in self.split.test]
        return self.over_genes((model.predict_conditions(test).mean - truth) ** 2)

    def over_genes(self, squared: Float[np.ndarray, "condition gene"]) -> _Errors:
        """Mean over genes that are not edited of each held-out condition."""
        keep = ~edited_genes(self.dataset.subset(self.split.test))
        return np.where(keep, squared, 0.0).sum(axis=1) / keep.sum(axis=1)


def levers(
    dataset: Dataset,
    split: Split,
    config: FitConfig,
    *,
    costs: Costs | None = None,
    budget: float | None = None,
    known: PriorNetwork | None = None,
    prior: PriorNetwork | None = None,
    n_worlds: int = 6,
    level: float = 0.9,
    say: Callable[[str], None] = lambda text: None,
    rng: np.random.Generator,
) -> Levers:
    """Expect what each lever brings for a data set and model.

    Parameters
    ----------
    dataset
        The whole data set.
    split
        What is held out to tell the error by.
    config
        Settings of the model.
    costs
        What things cost; a unit for each cell and nothing beside if not given.
    budget
        What is spent on each lever; that of half as many edited cells as train, if not given.
    known
        Wiring that the model has already.
    prior
        Wiring that could be given to it. Without it the gain of a prior is that of the fitted model's own strongest edges, two for each gene, a fifth of all
        listed being false, in its own world alone.
    n_worlds
        Screens made in the model's own world, each as it is and with each lever; every second one mirrors the errors of the one before.
    level
        Level of the intervals.
    say
        Called with a line of text before each fit.
    rng
        Draws subsamples and worlds.

    Raises
    ------
    ConfigError
        If the budget buys nothing, or the model is not fitted to means.
    DataError
        If the split leaks, or no standard errors are known.
    """
    check_leakage(dataset, split)
    if config.likelihood != "pseudobulk":
        raise ConfigError(
            f"levers: screens are simulated as means, but likelihood = {config.likelihood!r} fits cells; use likelihood = 'pseudobulk'"
        )
    costs = costs or Costs()
    train = dataset.subset(split.train)
    if budget is None:
        budget = 0.5 * costs.cell * float(train.n_cells[~train.is_control].sum())
    bought = purchases(dataset, split, costs, budget)
    bench = _Bench(dataset=dataset, split=split, config=config, prior=known, say=say)
    measured = dataset.mean[split.test]
    now = bench.errors(bench.fit(train, "as it is"), measured)
    by_data = {p.lever: _by_subsamples(bench, train, p, now, measured, rng) for p in bought}
    offers = [(p.lever, p.buys, p.cost) for p in bought]
    if prior is not None:
        offers.append(("prior", f"a network of {len(prior.edges)} edges", costs.prior))
        by_data["prior"] = now - bench.errors(bench.fit(train, "with the network", prior=prior), measured)
    elif known is None and config.law == "semi-mechanistic":
        offers.append(("prior", "a network as good as a database's", costs.prior))
    for name, changed in _terms(train, config):
        offers.append((name, "a term more in the law", costs.term))
        by_data[name] = now - bench.errors(bench.fit(train, f"with a {name}", config=changed), measured)
    world = OwnWorld(model=bench.fit(dataset, "of all data"), dataset=dataset)
    is_listed = prior is None and any(lever == "prior" for lever, _, _ in offers)
    by_world = _by_own_world(bench, world, bought, is_listed=is_listed, n_worlds=n_worlds, rng=rng)
    edits = np.array([dataset.perturbations[row] for row in split.test], dtype=object)
    error = float(now.mean())
    without_noise = max(error - float(bench.over_genes(world.noise[split.test]).mean()), _LEAST_SHARE * error)
    table = pd.DataFrame(offers, columns=["lever", "buys", "cost"])
    table["gain"] = table["lever"].map({p.lever: 1 - 1 / p.growth for p in bought}).fillna(1.0)
    told = [_foretold(by_data.get(lever), by_world.get(lever), edits) for lever, _, _ in offers]
    table = believed(table.join(pd.DataFrame(told)), error=without_noise, level=level)
    table["share"] = table["fall"] / error
    table["per_cost"] = table["fall"] / table["cost"].where(table["cost"] > 0)
    is_sure = (table["cost"] == 0) & (table["lower"] > 0)
    order = np.lexsort((-table["per_cost"].fillna(-np.inf), ~is_sure))
    return Levers(table=table.iloc[order].reset_index(drop=True), error=error, without_noise=without_noise)


def _terms(train: Dataset, config: FitConfig) -> Iterator[tuple[str, FitConfig]]:
    """Terms that the law does not have yet."""
    if config.law == "semi-mechanistic" and config.residual_hidden == 0:
        yield "learned residual", replace(config, residual_hidden=_HIDDEN)
    can_stand = train.control_moments is not None and train.is_stationary_control.any() and not train.system.movement
    if config.law == "semi-mechanistic" and config.steady_state == "none" and can_stand:
        yield "steady-state loss", replace(config, steady_state="auto")


def _by_subsamples(
    bench: _Bench, train: Dataset, purchase: Purchase, now: _Errors, measured: np.ndarray, rng: np.random.Generator
) -> _Errors | None:
    """Fall of the error that the learning curve foretells, of each held-out condition; none where data cannot be halved.

    A half counts at the times that it holds (and at those of no training data): one more harvest is no remedy for the loss of another.
    """
    halves = list(_halved(train, purchase.lever, rng))
    if not halves:
        return None
    lost = np.array([bench.errors(bench.fit(half, f"half of the {purchase.lever}"), measured) - now for half in halves])
    hours = bench.dataset.hours[bench.split.test]
    at_new = ~np.isin(hours, train.hours[~train.is_control])
    counts = np.array([at_new | np.isin(hours, half.hours[~half.is_control]) for half in halves])
    return np.where(counts, lost, 0.0).sum(axis=0) / np.maximum(counts.sum(axis=0), 1) * (1 - 1 / purchase.growth)


def _halved(train: Dataset, lever: str, rng: np.random.Generator) -> Iterator[Dataset]:
    """The training data with either half of its cells, controls, times or edits."""
    edited = ~train.is_control
    if lever in ("cells", "controls"):
        rows = edited if lever == "cells" else ~edited
        if train.halves is None or not np.isfinite(train.halves[:, rows]).all():
            return
        for half in train.halves:
            yield replace(
                train,
                mean=np.where(rows[:, None], half, train.mean),
                standard_error=train.standard_error * np.where(rows, np.sqrt(2.0), 1.0)[:, None],
                n_cells=np.where(rows, np.maximum(train.n_cells // 2, 1), train.n_cells),
            )
        return
    kinds = train.hours if lever == "times" else np.array(train.perturbations, dtype=object)
    names = sorted(set(kinds[edited].tolist()))
    if len(names) < 2:
        return
    place = np.arange(len(names)) if lever == "times" else rng.permutation(len(names))
    for which in (0, 1):
        kept = {name for name, at in zip(names, place, strict=True) if at % 2 == which}
        yield train.subset([row for row in range(len(edited)) if not edited[row] or kinds[row] in kept])


def _by_own_world(
    bench: _Bench,
    world: OwnWorld,
    bought: Sequence[Purchase],
    *,
    is_listed: bool,
    n_worlds: int,
    rng: np.random.Generator,
) -> dict[str, Float[np.ndarray, "screen condition"]]:
    """Fall of the error in the world of the model that has seen everything, of each pair of mirrored screens and held-out condition, by lever."""
    train = bench.dataset.subset(bench.split.train)
    screens = {p.lever: p.screening for p in bought}
    truth = world.truth([bench.dataset.conditions[row] for row in bench.split.test])
    made = replace(world.measured, conditions=train.conditions, cells=train.n_cells)
    falls: dict[str, list[_Errors]] = {}
    seeds = rng.integers(2**31, size=n_worlds)
    for number in range(n_worlds):
        mirror = (-1.0) ** number, seeds[number // 2]
        simulated = lambda screen, m=mirror: world.simulate(screen, sign=m[0], rng=np.random.default_rng(m[1]))
        now = bench.errors(bench.fit(simulated(made), f"own world {number + 1}, as it is"), truth)
        for lever, screen in screens.items():
            model = bench.fit(simulated(screen), f"own world {number + 1}, more {lever}")
            falls.setdefault(lever, []).append(now - bench.errors(model, truth))
        if is_listed:
            listed = _as_listed(world.model, rng)
            model = bench.fit(simulated(made), f"own world {number + 1}, with a network", prior=listed)
            falls.setdefault("prior", []).append(now - bench.errors(model, truth))
    return {
        lever: np.stack([np.mean(each[k : k + 2], axis=0) for k in range(0, n_worlds, 2)])
        for lever, each in falls.items()
    }


def _as_listed(model: FittedModel, rng: np.random.Generator) -> PriorNetwork:
    """The strongest edges of a model as a database would list them: some of what is listed is false."""
    edges = model.network().head(_EDGES_PER_GENE * len(model.genes))
    true = edges[["source", "target"]].assign(sign=np.sign(edges["weight"]).astype(int))
    n_false = round(len(true) * _FALSE_SHARE / (1 - _FALSE_SHARE))
    false = pd.DataFrame(
        {
            "source": rng.choice(true["source"].unique(), n_false),
            "target": rng.choice(model.genes, n_false),
            "sign": rng.choice([-1, 1], n_false),
        }
    )
    false = false[false["source"] != false["target"]]
    return PriorNetwork(
        edges=pd.concat([true, false]).drop_duplicates(["source", "target"], ignore_index=True), use="soft"
    )


def _foretold(
    data: _Errors | None, world: Float[np.ndarray, "screen condition"] | None, edits: np.ndarray
) -> dict[str, float]:
    """Both answers, and the standard deviation of their mean over edits and screens."""
    answers = [each for each in (None if data is None else data[None], world) if each is not None]
    return {
        "fall_data": np.nan if data is None else float(data.mean()),
        "fall_world": np.nan if world is None else float(world.mean()),
        "spread": variance_of_mean(np.mean(np.broadcast_arrays(*answers), axis=0), edits) ** 0.5,
    }
