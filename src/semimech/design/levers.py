r"""Levers: which buys the largest fall of held-out error: more cells, controls, times or edits, known wiring, or a term of the law.

Two answers, which err in different ways:

* *data*: the model is refitted with half of the cells, controls, times or edits of the training data. Under :math:`E(u) = a + c/u` growth by a factor
  :math:`r` lowers the error by :math:`(E(u/2) - E(u))(1 - 1/r)`. A network or a term that is there to be tried is tried.
* *world*: the fitted law is taken for the truth, the screen is made in it as it was and with what the budget buys, and both are fitted
  (`semimech.design.own_world`). It knows no misfit of the law.

Cells, controls and times lower noise, which the world makes as it is; the data's curve is too flat there, as what is scarce is partly told by the rest (controls by genes that edits leave alone).
There the world is believed; and the data on edits and on all that can be tried, where misfit decides, of which the world knows nothing.
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
from semimech.design.own_world import OwnWorld
from semimech.design.purchases import Costs, Purchase, purchases
from semimech.fit import FitConfig, FittedModel, fit
from semimech.fit.problem import edited_genes
from semimech.model import PriorNetwork

LEVERS = ("cells", "controls", "times", "edits", "prior", "learned residual", "steady-state loss")
"""What can be pulled."""
_BY_WORLD = ("cells", "controls", "times")
_FALSE_SHARE = 0.2
_EDGES_PER_GENE = 2
_HIDDEN = 8

_Errors: TypeAlias = Float[np.ndarray, " condition"]


@dataclass(frozen=True, kw_only=True)
class Levers:
    """What each lever is expected to bring.

    Parameters
    ----------
    table
        One row per lever, best first: ``lever``, ``buys`` in words, ``cost``; ``fall_data`` and ``fall_world``, the expected fall of the mean squared error on
        held-out conditions (genes that are not edited, square of the observed scale), NaN where one cannot say; ``fall``, the one that is believed, with the interval
        ``lower`` to ``upper`` from a bootstrap over edits (too narrow: it knows no draw of screens); ``share`` of the error now; and ``per_cost``, the fall per unit of cost, NaN for what costs nothing.
        What costs nothing and surely helps stands first.
    error
        Mean squared error on held-out conditions as it is, noise of their measurement included.
    """

    table: pd.DataFrame
    error: float


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
        test = self.dataset.subset(self.split.test)
        keep = ~edited_genes(test)
        squared = (model.predict_conditions(test.conditions).mean - truth) ** 2
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
    by_world = _by_own_world(
        bench, bought, has_prior=any(o[0] == "prior" for o in offers), n_worlds=n_worlds, rng=rng, network=prior
    )
    edits = np.array([dataset.perturbations[row] for row in split.test], dtype=object)
    rows = [
        _row(*offer, by_data.get(offer[0]), by_world.get(offer[0]), edits, float(now.mean()), level) for offer in offers
    ]
    table = pd.DataFrame(rows)
    is_sure = (table["cost"] == 0) & (table["lower"] > 0)
    order = np.lexsort((-table["per_cost"].fillna(-np.inf), ~is_sure))
    return Levers(table=table.iloc[order].reset_index(drop=True), error=float(now.mean()))


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
    bought: Sequence[Purchase],
    *,
    has_prior: bool,
    network: PriorNetwork | None,
    n_worlds: int,
    rng: np.random.Generator,
) -> dict[str, _Errors]:
    """Fall of the error in the world of the model that has seen everything, of each held-out condition, by lever."""
    world = OwnWorld(model=bench.fit(bench.dataset, "of all data"), dataset=bench.dataset)
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
        if has_prior and network is None:
            listed = _as_listed(world.model, rng)
            model = bench.fit(simulated(made), f"own world {number + 1}, with a network", prior=listed)
            falls.setdefault("prior", []).append(now - bench.errors(model, truth))
    return {lever: np.mean(each, axis=0) for lever, each in falls.items()}


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


def _row(
    lever: str,
    buys: str,
    cost: float,
    data: _Errors | None,
    world: _Errors | None,
    edits: np.ndarray,
    now: float,
    level: float,
) -> dict[str, object]:
    """One line of the table."""
    fall = next(each for each in ((world, data) if lever in _BY_WORLD else (data, world)) if each is not None)
    names, code = np.unique(edits.astype(str), return_inverse=True)
    sums, sizes = np.bincount(code, fall), np.bincount(code)
    weight = np.random.default_rng(0).multinomial(len(names), np.full(len(names), 1 / len(names)), size=2000)
    boot = (weight @ sums) / (weight @ sizes)
    lower, upper = np.quantile(boot, [(1 - level) / 2, (1 + level) / 2]) if len(names) > 1 else (np.nan, np.nan)
    return {
        "lever": lever,
        "buys": buys,
        "cost": cost,
        "fall_data": np.nan if data is None else float(data.mean()),
        "fall_world": np.nan if world is None else float(world.mean()),
        "fall": float(fall.mean()),
        "lower": float(lower),
        "upper": float(upper),
        "share": float(fall.mean()) / now,
        "per_cost": float(fall.mean()) / cost if cost > 0 else np.nan,
    }
