"""A graft: edited cells that are put into hosts, found it in small numbers, and grow by their state."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Graft:
    r"""How a pool of edited cells grows in hosts.

    A cell divides, less deaths, at the rate :math:`r_0 + w \cdot \ln\frac{1 + z}{2}` of its mRNA :math:`z`, relative to unedited cells in culture.

    Parameters
    ----------
    niche
        Medium of the world in which grafted cells are.
    weight
        :math:`w` of each gene, per hour.
    rate
        :math:`r_0`, per hour.
    founders
        Cells that found the graft of one animal.
    animals
        Animals; each is sampled at every time.
    neutral_guides
        Non-targeting guides in the pool, beside those of each gene.
    reads
        Reads of guides in one sample.
    library_spread
        Standard deviation of the logarithm of a guide's share of the pool.
    guide_efficacy
        Mean share of the cells with a guide in which it works; guides differ (beta distributed).
    lives
        Cells simulated for each condition: survivors are drawn from them by their growth.

    Raises
    ------
    ValueError
        Listing every field outside its range.
    """

    niche: str
    weight: tuple[float, ...]
    rate: float = 0.02
    founders: int = 20_000
    animals: int = 3
    neutral_guides: int = 100
    reads: int = 200_000
    library_spread: float = 0.6
    guide_efficacy: float = 0.8
    lives: int = 256

    def __post_init__(self) -> None:
        least = {"founders": 1, "animals": 1, "neutral_guides": 1, "reads": 1, "lives": 16}
        faults = [
            f"{name} must be at least {low}, got {getattr(self, name)}"
            for name, low in least.items()
            if getattr(self, name) < low
        ]
        if not self.library_spread >= 0:
            faults.append(f"library_spread must be 0 or more, got {self.library_spread:g}")
        if not 0 < self.guide_efficacy < 1:
            faults.append(f"guide_efficacy must lie between 0 and 1, got {self.guide_efficacy:g}")
        if faults:
            raise ValueError("Graft: " + "; ".join(faults))
