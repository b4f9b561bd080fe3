"""Worlds whose law breaks exactly one assumption that a design of times, media, orders and pairs can show; means, hardly any noise."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.integrate import solve_ivp

from semimech.data import CellSystem, Dataset, Split
from semimech.data.scale import identity_scale
from semimech.experiment import Condition, parse_experiment

BROKEN = (
    "control stationarity",
    "settled at harvest",
    "additive combinations",
    "medium-independent effect",
    "acyclic regulation",
)
EDITS = ("G0", "G1", "G2", "G3")
N_GENES = 10
NOISE = 0.02
_EFFICACY = 0.9


@dataclass(frozen=True)
class World:
    r"""Relative abundances with :math:`dz/dt = \delta (u + W (z - 1) + b m - z)`, one thing of it changed.

    ``G0`` to ``G3`` are edited by CRISPRi and regulate, ``G4`` to ``G7`` respond to them and to the medium; half-lives are 2 to 4 hours, so that
    harvests after 24 hours are settled, and all is linear, so that effects add up, commute and do not depend on the medium. Then:

    ======================  ==============================================================================================================
    control stationarity    ``G8`` starts at 0.2, rises with a half-life of 30 hours, and drives the others
    settled at harvest      ``G4`` to ``G7`` have half-lives of 25 to 40 hours; nothing is done in two orders, which would differ too
    additive combinations   production of ``G4`` to ``G7`` ends at a floor that one edit comes near to
    medium-independent      ``G4`` to ``G7`` are off in the maintenance medium, where edits cannot take anything from them
    acyclic regulation      ``G0`` and ``G1`` drive each other, ``G2`` and ``G3`` repress each other
    ======================  ==============================================================================================================

    No world breaks the commuting of order alone: where every context has one attractor and cells have settled, they end in that of
    the last context whatever came before, so order shows only in cells that have not settled, or between two attractors.
    """

    broken: str | None
    seed: int

    def means(self, conditions: list[Condition]) -> np.ndarray:
        """Abundances at harvest."""
        rng = np.random.default_rng(self.seed)
        half_life = rng.uniform(2.0, 4.0, N_GENES)
        weight = np.zeros((N_GENES, N_GENES))
        weight[4:8, :4] = rng.uniform(0.1, 0.22, (4, 4)) * rng.choice([-1.0, 1.0], (4, 4))
        in_medium = np.where(np.arange(N_GENES) >= 4, rng.uniform(0.2, 0.6, N_GENES), 0.0)
        drive = rng.uniform(0.4, 0.7, 4) * rng.choice([-1.0, 1.0], 4)
        pull = rng.uniform(0.75, 1.0, (4, 4))
        start = np.ones(N_GENES)
        if self.broken == "settled at harvest":
            half_life[4:8] = rng.uniform(25.0, 40.0, 4)
            weight[4:8, :4] *= 1.5
        if self.broken == "control stationarity":
            half_life[8], start[8] = 30.0, 0.2
            weight[4:8, 8] = drive
            start[4:8] += drive * (start[8] - 1.0)
        if self.broken == "acyclic regulation":
            weight[0, 1], weight[1, 0], weight[2, 3], weight[3, 2] = rng.uniform(0.4, 0.6, 4) * [1, 1, -1, -1]
        if self.broken == "medium-independent effect":
            start[4:8] = 0.3
        rate = np.log(2.0) / half_life

        def drift(z: np.ndarray, production: np.ndarray, medium: float) -> np.ndarray:
            made = production + weight @ (z - 1.0) + in_medium * medium
            lost = pull @ (1.0 - z[:4])
            if self.broken == "additive combinations":
                made[4:8] = np.maximum(1.0 - lost, 0.05) + in_medium[4:8] * medium
            if self.broken == "medium-independent effect":
                made[4:8] = 0.3 + medium * np.maximum(1.5 - 1.2 * lost, 0.0)
            return rate * (made - z)

        found = []
        for condition in conditions:
            z = start
            for period in condition.history:
                production = np.ones(N_GENES)
                for edit in period.context.edits:
                    production[int(edit.gene[1:])] -= edit.efficacy
                medium = float(period.context.medium is not None)
                step = solve_ivp(
                    lambda _, y, u=production, m=medium: drift(y, u, m), (0.0, period.hours), z, rtol=1e-6, atol=1e-8
                )
                z = step.y[:, -1]
            found.append(z)
        return np.array(found)


def conditions(*, has_orders: bool) -> list[Condition]:
    """Single edits at two times and in two media, in both orders or not; all pairs; unedited cells beside each."""
    edit = {g: f"edit {g} crispri {_EFFICACY}" for g in EDITS}
    said = ["wait 24h", "wait 48h", "medium M > wait 24h", "medium M > wait 48h", "wait 24h > medium M > wait 24h"]
    for g in EDITS:
        said += [f"{edit[g]} > wait 24h", f"{edit[g]} > wait 48h", f"medium M > {edit[g]} > wait 48h"]
        if has_orders:
            said += [f"{edit[g]} > wait 24h > medium M > wait 24h", f"medium M > wait 24h > {edit[g]} > wait 24h"]
    said += [f"{edit[a]} > {edit[b]} > wait 48h" for i, a in enumerate(EDITS) for b in EDITS[i + 1 :]]
    return [parse_experiment(f"{text} > harvest").conditions["harvest"] for text in said]


def make_data(world: World) -> Dataset:
    """What is measured of a world; unedited cells are declared to move, so that nothing is taken for granted."""
    made = conditions(has_orders=world.broken != "settled at harvest")
    mean = world.means(made)
    mean = np.maximum(mean + NOISE * np.random.default_rng(world.seed + 1).normal(size=mean.shape), 0.0)
    return Dataset(
        genes=tuple(f"G{i}" for i in range(N_GENES)),
        conditions=tuple(made),
        mean=mean,
        standard_error=np.full(mean.shape, NOISE),
        n_cells=np.full(len(made), 100),
        scale=identity_scale(),
        system=CellSystem(media=("M",), is_differentiating=True),
        name=f"{world.broken or 'nothing'} {world.seed}",
    )


def hold_out(dataset: Dataset, seed: int) -> tuple[Split, ...]:
    """A third of each kind of condition: single edits by time, medium and order, and pairs."""
    rng = np.random.default_rng(seed)
    kinds: dict[object, list[int]] = {}
    for row, c in enumerate(dataset.conditions):
        if not c.is_control:
            kinds.setdefault((len(c.edits), c.hours, c.media, bool(c.history[0].context.edits)), []).append(row)
    test = [row for rows in kinds.values() for row in rng.permutation(rows)[: max(round(len(rows) / 3), 1)]]
    train = np.setdiff1d(np.arange(len(dataset.conditions)), test)
    return (Split(name="new_conditions", train=train, test=np.sort(test), seed=seed),)
