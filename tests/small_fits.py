"""A small linear world in closed form, and settings that fit it in seconds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.linalg import expm
from small_data import condition, dataset

from semimech.data import Dataset
from semimech.data.dataset import ControlMoments
from semimech.experiment import Condition
from semimech.fit import FitConfig

N_GENES = 8
UNIT = np.geomspace(5.0, 80.0, N_GENES)
TIMES = (6.0, 12.0, 48.0)
EDITED = ("G0", "G1", "G2", "G3", "G4", "X")

QUICK = FitConfig(
    steady_state="none",
    sparsities=(0.02,),
    n_folds=2,
    n_members=2,
    n_steps=200,
    validation_steps=200,
    checkpoint_every=100,
    max_step_hours=6.0,
)
"""Every set of runs takes chunks of one size, so that one program is compiled."""


@dataclass(frozen=True)
class LinearWorld:
    """Relative abundances that obey ``dz/dt = δ (u + W (z - 1) + B m + c x - z)``, exactly.

    CRISPRi of a gene takes nine tenths of its production; ``X`` is not measured, and its loss acts on the genes through ``c``.
    """

    degradation: np.ndarray
    weight: np.ndarray
    medium_effect: np.ndarray
    loss_of_x: np.ndarray

    def mean(self, asked: Condition) -> np.ndarray:
        """Abundances of cells with these edits, kept for some hours in one medium."""
        production = np.ones(N_GENES)
        constant = self.medium_effect * (asked.medium is not None)
        for edit in asked.edits:
            if edit.gene == "X":
                constant = constant + self.loss_of_x
            else:
                production[int(edit.gene[1:])] -= edit.efficacy
        matrix = np.zeros((N_GENES + 1, N_GENES + 1))
        matrix[:-1, :-1] = self.degradation[:, None] * (self.weight - np.eye(N_GENES))
        matrix[:-1, -1] = self.degradation * (production + constant - self.weight.sum(axis=1))
        z = np.append(np.ones(N_GENES), 1.0)
        return UNIT * (expm(min(asked.hours, 1e4) * matrix) @ z)[:-1]


def linear_world(seed: int = 0) -> LinearWorld:
    """Eight genes with half-lives from 3 to 20 hours on a ring of strong edges of both signs."""
    rng = np.random.default_rng(seed)
    weight = np.zeros((N_GENES, N_GENES))
    for gene in range(N_GENES):
        weight[(gene + 1) % N_GENES, gene] = 0.6 * (-1) ** gene
    return LinearWorld(
        degradation=np.log(2) / rng.permutation(np.geomspace(3.0, 20.0, N_GENES)),
        weight=weight,
        medium_effect=np.where(np.arange(N_GENES) == 6, 0.5, 0.0),
        loss_of_x=np.where(np.arange(N_GENES) == 5, -0.5, 0.0),
    )


def asked(perturbation: str, hours: float, *, medium: str | None = None) -> Condition:
    """A condition of the world; edits of measured genes are by CRISPRi, nine tenths effective."""
    kind = "knockout" if perturbation == "X" else "crispri 0.9"
    return condition(perturbation, hours, kind=kind, medium=medium)


def linear_conditions(times: Sequence[float] = TIMES) -> list[Condition]:
    """Controls and edits at all times, and controls in another medium."""
    named = [(name, medium) for name, medium in [("control", None), ("control", "M")]]
    named += [(name, None) for name in EDITED]
    return [asked(name, hours, medium=medium) for name, medium in named for hours in times]


def linear_data(world: LinearWorld | None = None, *, noise: float = 0.0, **fields) -> Dataset:
    """What a noise-free screen of the world would measure, on the linear scale."""
    world = linear_world() if world is None else world
    conditions = fields.pop("conditions", linear_conditions())
    mean = np.array([world.mean(c) for c in conditions])
    mean = mean * (1 + noise * np.random.default_rng(1).normal(size=mean.shape))
    return dataset(conditions, mean, standard_error=0.02 * UNIT, **({"media": ("M",)} | fields))


def control_moments(covariance: np.ndarray) -> ControlMoments:
    """Second moments of controls, as counts of many cells would give them."""
    return ControlMoments(covariance=covariance, noise=np.zeros(len(covariance)), n_cells=1000)
