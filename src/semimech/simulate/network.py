"""Random signed regulatory networks with hubs, feedback and paired binding."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int


@dataclass(frozen=True, kw_only=True)
class Wiring:
    """Which proteins bind which promoters.

    Parameters
    ----------
    first, second
        The regulators of each site of each gene; the number of regulators stands for none.
    sign
        1 where the site activates, −1 where it represses, 0 where there is no site.
    """

    first: Int[np.ndarray, "site gene"]
    second: Int[np.ndarray, "site gene"]
    sign: Float[np.ndarray, "site gene"]


def random_wiring(
    n_genes: int,
    n_regulators: int,
    *,
    mean_sites: float,
    max_sites: int,
    hub_exponent: float,
    activator_share: float,
    pair_share: float,
    rng: np.random.Generator,
) -> Wiring:
    """Draw a network in which the first genes are the regulators.

    Out-degrees are scale-free by the static model of Goh, Kahng and Kim (2001, Phys. Rev. Lett. 87, 278701): regulator
    ``r`` is chosen with a weight ``r ** -hub_exponent``. Every regulator has a target, and the two largest hubs
    regulate each other with opposite signs, so that there is feedback.

    Parameters
    ----------
    n_genes, n_regulators
        Size of the network.
    mean_sites, max_sites
        Mean and largest number of sites per promoter.
    hub_exponent
        0 gives equal regulators; the power law of the out-degrees has exponent ``1 + 1 / hub_exponent``.
    activator_share
        Share of sites that activate.
    pair_share
        Share of sites bound by two regulators together.
    rng
        Source of the draw.
    """
    weight = np.arange(1, n_regulators + 1, dtype=float) ** -hub_exponent
    rng.shuffle(weight)
    hubs = np.argsort(-weight)[:2].tolist()
    chosen = [_regulators_of(g, weight, min(rng.poisson(mean_sites), max_sites), rng) for g in range(n_genes)]
    if n_regulators > 1:
        for target, regulator in (hubs, hubs[::-1]):
            chosen[target] = [regulator, *(r for r in chosen[target] if r != regulator)][:max_sites]
    _give_targets(chosen, n_regulators, fixed=set(hubs), max_sites=max_sites, rng=rng)
    first = np.full((max_sites, n_genes), n_regulators)
    second = np.full((max_sites, n_genes), n_regulators)
    sign = np.zeros((max_sites, n_genes))
    for gene, regulators in enumerate(chosen):
        for site, regulator in enumerate(regulators):
            first[site, gene] = regulator
            sign[site, gene] = 1.0 if rng.random() < activator_share else -1.0
            if rng.random() < pair_share:
                second[site, gene] = _partner(gene, regulators, weight, rng)
    if n_regulators > 1:
        for gene, value in zip(hubs, (1.0, -1.0), strict=True):
            sign[0, gene], second[0, gene] = value, n_regulators
    return Wiring(first=first, second=second, sign=sign)


def _regulators_of(gene: int, weight: np.ndarray, count: int, rng: np.random.Generator) -> list[int]:
    """Draw distinct regulators of a gene, not itself."""
    chance = weight.copy()
    chance[gene : gene + 1] = 0.0
    count = min(count, int((chance > 0).sum()))
    if count == 0:
        return []
    return rng.choice(len(weight), size=count, replace=False, p=chance / chance.sum()).tolist()


def _give_targets(
    chosen: list[list[int]], n_regulators: int, *, fixed: set[int], max_sites: int, rng: np.random.Generator
) -> None:
    """Give a target to each regulator that has none."""
    idle = set(range(n_regulators)) - {r for regulators in chosen for r in regulators}
    for regulator in sorted(idle):
        free = [g for g, rs in enumerate(chosen) if g != regulator and g not in fixed and len(rs) < max_sites]
        if free:
            chosen[free[rng.integers(len(free))]].append(regulator)


def _partner(gene: int, regulators: list[int], weight: np.ndarray, rng: np.random.Generator) -> int:
    """Draw a second regulator for a site, or none if all others are taken."""
    chance = weight.copy()
    chance[regulators] = 0.0
    chance[gene : gene + 1] = 0.0
    if chance.sum() == 0:
        return len(weight)
    return int(rng.choice(len(weight), p=chance / chance.sum()))
