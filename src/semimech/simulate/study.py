"""Small worlds for studies that need many of them, with data sets that keep the truth beside them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import combinations

import jax
import numpy as np
import scipy.sparse as sp
from jaxtyping import Bool, Float, Int, PRNGKeyArray

from semimech.data import Cells, CellSystem, ControlMoments, Dataset, count_scale, log1p_scale
from semimech.data.batch_effect import BatchEffect
from semimech.data.moments import condition_moments, control_moments
from semimech.experiment import Condition, Edit
from semimech.simulate._random import generator
from semimech.simulate.kinetics import CellState
from semimech.simulate.measurement import TARGET_SUM, Measurement, draw_libraries, sample_counts
from semimech.simulate.population import independent_cells, stationary_cells
from semimech.simulate.recipe import WorldRecipe, random_world
from semimech.simulate.screen import screen_experiments
from semimech.simulate.truth import Truth, true_values
from semimech.simulate.world import World

STUDY_KINDS = ("intrinsic", "extrinsic", "proteins", "proteins+extrinsic")

_N_GENES = 24
_N_TRAIN = 16
_N_DOUBLES = 12
_DAYS = (1, 2, 3, 4)
_EXPRESSION = 240.0
_N_TRUTH_CELLS = 256
_NOMINAL_ERROR = 1e-2
_POOL = 4096


@dataclass(frozen=True, kw_only=True)
class Study:
    """Data to learn from, and the truth to be scored against.

    Parameters
    ----------
    world
        The world measured.
    dataset
        All conditions as measured: unedited cells, every single knockout, and doubles.
    truth
        The truth of each row of the data set.
    true_mean
        The truth in the scale of the data set.
    train, unseen_edit, unseen_combination
        Rows to learn from (unedited cells among them), singles of genes held out, and doubles of training genes.
    """

    world: World
    dataset: Dataset
    truth: Truth
    true_mean: Float[np.ndarray, "condition gene"]
    train: Int[np.ndarray, " train"]
    unseen_edit: Int[np.ndarray, " test"]
    unseen_combination: Int[np.ndarray, " double"]

    @property
    def scored(self) -> Dataset:
        """The data set with the truth in place of the measured mean in all rows that are not for training."""
        mean = self.true_mean.copy()
        mean[self.train] = self.dataset.mean[self.train]
        return replace(self.dataset, mean=mean)


def study_world(kind: str, *, key: PRNGKeyArray) -> World:
    """Draw a world of 24 genes, all of them regulators.

    Parameters
    ----------
    kind
        ``"intrinsic"`` has molecular noise only, ``"extrinsic"`` two slow factors besides, ``"proteins"`` hidden
        proteins between mRNA and regulation, ``"proteins+extrinsic"`` both.
    key
        Decides the draw.

    Raises
    ------
    ValueError
        If the kind is unknown.
    """
    if kind not in STUDY_KINDS:
        raise ValueError(f"kind must be one of {', '.join(STUDY_KINDS)}, got {kind!r}")
    recipe = WorldRecipe(
        n_genes=_N_GENES,
        n_regulators=_N_GENES,
        mean_sites=2.0,
        strength=3.0,
        max_sites=5,
        expression=_EXPRESSION,
        expression_spread=0.8,
        extrinsic=0.2 if "extrinsic" in kind else 0.0,
        protein_half_life_hours=24.0 if "proteins" in kind else None,
    )
    return random_world(recipe, key=key)


def simulate_study(
    world: World,
    *,
    umi: float | None = 5000.0,
    cells: int = 200,
    control_cells: int = 2000,
    key: PRNGKeyArray,
) -> Study:
    """Knock out every gene of a study world, 16 for training and 8 held out, and 12 pairs of training genes.

    Cells are harvested on days 1 to 4, unpaired. Counts are sampled from whole transcriptomes of which the world's
    genes are a small part, so library sizes are known. Without counts, means of training conditions are exact, and only
    the number of control cells limits their covariance.

    Parameters
    ----------
    world
        From `study_world`.
    umi
        Mean UMI per cell over the transcriptome; ``None`` for cells seen without noise.
    cells, control_cells
        Cells per edited condition, and of all unedited conditions together.
    key
        Decides which genes are held out, and all noise.
    """
    choice_key, truth_key, start_key, life_key, count_key = jax.random.split(key, 5)
    held_out, doubles = _choose(world, choice_key)
    perturbations = [(Edit(gene=g),) for g in world.genes] + [(Edit(gene=a), Edit(gene=b)) for a, b in doubles]
    experiments = screen_experiments(perturbations, _DAYS)
    conditions = tuple(c for e in experiments for c in e.conditions.values())
    measurement = Measurement(library_mean=umi or 5000.0, outside=TARGET_SUM - _EXPRESSION)
    truth = true_values(world, conditions, measurement=measurement, n_cells=_N_TRUTH_CELLS, key=truth_key)
    is_control = np.array([c.is_control for c in conditions])
    sizes = np.where(is_control, control_cells // int(is_control.sum()), cells)
    seen = np.repeat(np.arange(len(conditions)), sizes if umi else np.where(is_control, sizes, 0))
    start = _draw_start(world, is_control[seen], key=start_key)
    cp10k = measurement.cp10k(independent_cells(world, conditions, seen, start=start, key=life_key))
    if umi:
        rng = generator(count_key)
        library = draw_libraries(measurement, len(seen), rng=rng)
        counts = sample_counts(cp10k, library, dispersion=measurement.dispersion, rng=rng)
        dataset = _counted(world, conditions, seen, counts, library, rng)
        true_mean = truth.observed
    else:
        dataset = _noise_free(world, truth, sizes, cp10k)
        true_mean = np.log1p(truth.mean)
    genes = [{edit.gene for edit in c.edits} for c in conditions]
    is_double = np.array([len(g) == 2 for g in genes])
    is_held_out = np.array([bool(g & held_out) for g in genes])
    return Study(
        world=world,
        dataset=dataset,
        truth=truth,
        true_mean=true_mean,
        train=np.flatnonzero(~is_double & ~is_held_out),
        unseen_edit=np.flatnonzero(is_held_out),
        unseen_combination=np.flatnonzero(is_double),
    )


def _choose(world: World, key: PRNGKeyArray) -> tuple[set[str], list[tuple[str, str]]]:
    """The genes held out, and the pairs of training genes."""
    rng = generator(key)
    order = rng.permutation(len(world.genes))
    train = sorted(world.genes[i] for i in order[:_N_TRAIN])
    pairs = list(combinations(train, 2))
    return {world.genes[i] for i in order[_N_TRAIN:]}, [
        pairs[i] for i in rng.choice(len(pairs), _N_DOUBLES, replace=False)
    ]


def _draw_start(world: World, is_control: Bool[np.ndarray, " cell"], *, key: PRNGKeyArray) -> CellState:
    """Cells before anything is done: each unedited one by itself, edited ones drawn from a large pool."""
    pool_key, draw_key = jax.random.split(key)
    n_controls = int(is_control.sum())
    n_pool = max(n_controls, min(_POOL, len(is_control)))
    pool = stationary_cells(world, n_pool, key=pool_key)
    drawn = generator(draw_key).integers(0, n_pool, len(is_control))
    drawn[is_control] = np.arange(n_controls)
    return jax.tree.map(lambda part: part[..., drawn], pool)


def _noise_free(world: World, truth: Truth, sizes: np.ndarray, control: np.ndarray) -> Dataset:
    """Exact means, on the scale of log1p of the mean; the errors are nominal."""
    mean = np.log1p(truth.mean)
    covariance = np.cov((control / control.mean(axis=0)).astype(float), rowvar=False)
    return Dataset(
        genes=world.genes,
        conditions=truth.conditions,
        mean=mean,
        standard_error=np.full_like(mean, _NOMINAL_ERROR),
        n_cells=sizes,
        scale=log1p_scale(),
        system=CellSystem(name="study"),
        halves=np.stack([mean, mean]),
        control_moments=ControlMoments(covariance=covariance, noise=np.zeros(len(world.genes)), n_cells=len(control)),
        name="study, noise-free",
    )


def _counted(
    world: World,
    conditions: tuple[Condition, ...],
    condition: np.ndarray,
    counts: np.ndarray,
    library: np.ndarray,
    rng: np.random.Generator,
) -> Dataset:
    """Means over cells of log1p of counts, normalised by the known libraries."""
    sparse = sp.csr_matrix(counts)
    unit = TARGET_SUM / library
    values = sp.csr_matrix(sp.diags_array(unit) @ sparse).log1p().astype(np.float32)
    batch = np.zeros(len(condition), int)
    none = np.zeros((1, len(world.genes)))
    moments = condition_moments(
        values,
        condition=condition,
        batch=batch,
        effect=BatchEffect(offset=none, variance=none, is_corrected=np.ones(1, dtype=bool)),
        n_conditions=len(conditions),
        rng=rng,
    )
    is_control = np.array([c.is_control for c in conditions])[condition]
    rows = np.flatnonzero(is_control)
    return Dataset(
        genes=world.genes,
        conditions=conditions,
        mean=moments.mean,
        standard_error=moments.standard_error,
        n_cells=moments.n_cells,
        scale=count_scale(library),
        system=CellSystem(name="study"),
        halves=moments.halves,
        control_moments=control_moments(sparse[rows], unit[rows], group=batch[rows]),
        cells=Cells(values=values, condition=condition, batch=batch),
        name=f"study, {library.mean():.0f} UMI",
    )
