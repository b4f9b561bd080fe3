"""How random worlds are made."""

from __future__ import annotations

from dataclasses import dataclass, fields

import equinox as eqx
import numpy as np
from jaxtyping import PRNGKeyArray

from semimech.simulate._random import generator
from semimech.simulate.kinetics import Kinetics, slowest_rate
from semimech.simulate.network import random_wiring
from semimech.simulate.world import World

_SHRINK = 0.9
_SLOWEST_MODE = 0.7


@dataclass(frozen=True, kw_only=True)
class WorldRecipe:
    """The laws from which the parameters of a world are drawn.

    Half-lives and expression levels are log-normal, as measured in mammalian cells by Schwanhäusser et al. (2011,
    Nature 473, 337–342).

    Parameters
    ----------
    n_genes, n_regulators
        Size of the network; the first genes are the regulators.
    mean_sites, max_sites
        Mean and largest number of regulatory sites per gene.
    hub_exponent
        How much hubs stand out; see `random_wiring`.
    activator_share
        Share of sites that activate.
    pair_share
        Share of sites bound by two regulators together.
    strength
        Median of the fold change of an occupied site, minus 1.
    saturation
        Median of the saturation of transcription.
    half_life_hours
        Median half-life of mRNA, hours; drawn values lie between 1 and 48.
    protein_half_life_hours
        Median half-life of the hidden proteins, hours; ``None`` where proteins follow their mRNA at once.
    expression
        Sum of the abundances over all genes, counts per 10⁴.
    expression_spread
        Standard deviation of log expression.
    noise
        Median squared coefficient of variation of an unregulated mRNA over cells.
    extrinsic
        Standard deviation of the loadings on each slow factor; 0 for none.
    factor_hours
        Relaxation time of each slow factor, hours.
    knockout_mrna
        Median factor of a knockout on the target's own mRNA.
    media
        Names of media other than the maintenance medium.
    medium_spread
        Standard deviation of the log fold change of production in a medium, for the quarter of genes that respond.

    Raises
    ------
    ValueError
        If a size, share or spread is outside its range; all such fields are listed.
    """

    n_genes: int = 200
    n_regulators: int = 60
    mean_sites: float = 2.5
    max_sites: int = 6
    hub_exponent: float = 0.7
    activator_share: float = 0.65
    pair_share: float = 0.15
    strength: float = 1.5
    saturation: float = 0.3
    half_life_hours: float = 9.0
    protein_half_life_hours: float | None = None
    expression: float = 1e4
    expression_spread: float = 1.2
    noise: float = 0.1
    extrinsic: float = 0.0
    factor_hours: tuple[float, ...] = (72.0, 36.0)
    knockout_mrna: float = 0.5
    media: tuple[str, ...] = ()
    medium_spread: float = 0.7

    def __post_init__(self) -> None:
        faults = []
        if not 1 <= self.n_regulators <= self.n_genes:
            faults.append(f"n_regulators must lie between 1 and n_genes = {self.n_genes}, got {self.n_regulators}")
        if self.max_sites < 1:
            faults.append(f"max_sites must be at least 1, got {self.max_sites}")
        for name in ("activator_share", "pair_share"):
            if not 0 <= getattr(self, name) <= 1:
                faults.append(f"{name} must lie in [0, 1], got {getattr(self, name):g}")
        for name in ("half_life_hours", "expression", "knockout_mrna"):
            if not getattr(self, name) > 0:
                faults.append(f"{name} must be positive, got {getattr(self, name):g}")
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, float) and value < 0 and field.name not in ("half_life_hours", "expression"):
                faults.append(f"{field.name} must not be negative, got {value:g}")
        if faults:
            raise ValueError("WorldRecipe: " + "; ".join(dict.fromkeys(faults)))


def random_world(recipe: WorldRecipe, *, key: PRNGKeyArray) -> World:
    """Draw a world.

    Regulation is weakened until the unedited steady state is stable, and its slowest mode dies out at 0.7 or more of the
    rate of the slowest mRNA or protein.

    Parameters
    ----------
    recipe
        The laws to draw from.
    key
        Decides the draw.
    """
    rng = generator(key)
    kinetics = _draw_kinetics(recipe, rng)
    slowest = float(kinetics.decay.min())
    if recipe.protein_half_life_hours is not None:
        slowest = min(slowest, float(kinetics.protein_decay.min()))
    while slowest_rate(kinetics) < _SLOWEST_MODE * slowest:
        kinetics = eqx.tree_at(lambda k: k.site_fold, kinetics, kinetics.site_fold**_SHRINK)
    n_genes, n_media = recipe.n_genes, len(recipe.media)
    responds = rng.random((n_media, n_genes)) < 0.25
    return World(
        genes=_gene_names(recipe),
        kinetics=kinetics,
        knockout_mrna=_single(np.clip(_log_normal(recipe.knockout_mrna, 0.5, n_genes, rng), 0.1, 3.0)),
        media=recipe.media,
        medium_fold=_single(np.exp(recipe.medium_spread * responds * rng.standard_normal((n_media, n_genes)))),
    )


def _draw_kinetics(recipe: WorldRecipe, rng: np.random.Generator) -> Kinetics:
    n_genes, n_regulators = recipe.n_genes, recipe.n_regulators
    wiring = random_wiring(
        n_genes,
        n_regulators,
        mean_sites=recipe.mean_sites,
        max_sites=recipe.max_sites,
        hub_exponent=recipe.hub_exponent,
        activator_share=recipe.activator_share,
        pair_share=recipe.pair_share,
        rng=rng,
    )
    fold = 1 + recipe.strength * np.exp(0.5 * rng.standard_normal(wiring.sign.shape))
    half_life = np.clip(_log_normal(recipe.half_life_hours, 0.9, n_genes, rng), 1.0, 48.0)
    if recipe.protein_half_life_hours is None:
        protein_decay = np.full(n_regulators, np.inf)
    else:
        protein_decay = np.log(2) / np.clip(
            _log_normal(recipe.protein_half_life_hours, 0.5, n_regulators, rng), 2.0, 96.0
        )
    expression = _log_normal(1.0, recipe.expression_spread, n_genes, rng)
    return Kinetics(
        expression=_single(expression * recipe.expression / expression.sum()),
        decay=_single(np.log(2) / half_life),
        regulators=np.arange(n_regulators, dtype=np.int32),
        protein_decay=_single(protein_decay),
        half_saturation=_single(_log_normal(1.0, 0.4, n_regulators, rng)),
        cooperativity=_single(rng.uniform(1.0, 3.0, n_regulators)),
        site_first=wiring.first.astype(np.int32),
        site_second=wiring.second.astype(np.int32),
        site_fold=_single(fold**wiring.sign),
        saturation=_single(_log_normal(recipe.saturation, 0.5, n_genes, rng)),
        noise=_single(_log_normal(recipe.noise, 0.4, n_genes, rng)),
        loadings=_single(recipe.extrinsic * rng.standard_normal((n_genes, len(recipe.factor_hours)))),
        factor_hours=_single(np.array(recipe.factor_hours)),
    )


def _gene_names(recipe: WorldRecipe) -> tuple[str, ...]:
    width = len(str(recipe.n_genes))
    regulators = [f"TF{i:0{width}d}" for i in range(1, recipe.n_regulators + 1)]
    others = [f"G{i:0{width}d}" for i in range(recipe.n_regulators + 1, recipe.n_genes + 1)]
    return (*regulators, *others)


def _log_normal(median: float, spread: float, size: int, rng: np.random.Generator) -> np.ndarray:
    return median * np.exp(spread * rng.standard_normal(size))


def _single(values: np.ndarray) -> np.ndarray:
    return values.astype(np.float32)
