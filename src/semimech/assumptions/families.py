"""Families of models: each a record of what its members take for granted, with the papers that say so."""

from __future__ import annotations

from dataclasses import dataclass

from semimech.assumptions.catalogue import (
    ACYCLIC,
    ADDITIVE,
    BATCH_BALANCED,
    COMMUTING,
    DEPTH_INDEPENDENT,
    FULL_EFFICACY,
    INSTANTANEOUS,
    KNOWN_WIRING,
    MEDIUM_INDEPENDENT,
    NO_CELL_CYCLE,
    NO_INTERACTION,
    NO_SELECTION,
    ONE_ATTRACTOR,
    SETTLED,
    SHARED_RESPONSE,
    START_INDEPENDENT,
    STATIONARY_CONTROLS,
    TIME_INDEPENDENT,
    Assumption,
)

MEASURED = (BATCH_BALANCED, DEPTH_INDEPENDENT, FULL_EFFICACY, NO_SELECTION, NO_INTERACTION, NO_CELL_CYCLE)
"""What every family takes for granted that reads labels and normalised counts of pooled cells as they are."""


@dataclass(frozen=True, kw_only=True)
class Paper:
    """A published member of a family.

    Parameters
    ----------
    cite
        Method, authors, venue and year.
    address
        Where it is found.
    """

    cite: str
    address: str


@dataclass(frozen=True, kw_only=True)
class Family:
    """Models that share their assumptions.

    Parameters
    ----------
    id
        Name on the command line.
    name
        Name in tables.
    form
        What is predicted from what, as an equation.
    assumptions
        What its members take for granted as they are commonly used.
    papers
        Published members; none for the baselines and the model of this package.
    """

    id: str
    name: str
    form: str
    assumptions: tuple[Assumption, ...]
    papers: tuple[Paper, ...] = ()


_NO_CLOCK = (STATIONARY_CONTROLS, SETTLED, TIME_INDEPENDENT, COMMUTING)

FAMILIES: tuple[Family, ...] = (
    Family(
        id="latent-shift",
        name="latent-shift autoencoders",
        form="x ↦ D(E(x) + δ(p))",
        assumptions=(*_NO_CLOCK, ADDITIVE, START_INDEPENDENT, MEDIUM_INDEPENDENT, ONE_ATTRACTOR, *MEASURED),
        papers=(
            Paper(
                cite="scGen: Lotfollahi et al., Nature Methods 16, 715 (2019)",
                address="https://doi.org/10.1038/s41592-019-0494-8",
            ),
            Paper(
                cite="CPA: Lotfollahi et al., Molecular Systems Biology 19, e11517 (2023)",
                address="https://doi.org/10.15252/msb.202211517",
            ),
        ),
    ),
    Family(
        id="dag-scm",
        name="structural causal models on a DAG",
        form="x = A x + c, A triangular, do(x_j) replaces row j",
        assumptions=(*_NO_CLOCK, ACYCLIC, MEDIUM_INDEPENDENT, KNOWN_WIRING, ONE_ATTRACTOR, *MEASURED),
        papers=(
            Paper(
                cite="DCDI: Brouillard et al., NeurIPS (2020)",
                address="https://arxiv.org/abs/2007.01754",
            ),
        ),
    ),
    Family(
        id="cyclic-scm",
        name="linear cyclic structural causal models",
        form="x = A x + c, (I − A) invertible",
        assumptions=(*_NO_CLOCK, MEDIUM_INDEPENDENT, KNOWN_WIRING, ONE_ATTRACTOR, *MEASURED),
        papers=(
            Paper(
                cite="Hyttinen, Eberhardt, Hoyer, JMLR 13, 3387 (2012)",
                address="https://jmlr.org/papers/v13/hyttinen12a.html",
            ),
            Paper(
                cite="Bicycle: Rohbeck et al., PMLR 236, 209 (2024)",
                address="https://proceedings.mlr.press/v236/rohbeck24a.html",
            ),
        ),
    ),
    Family(
        id="optimal-transport",
        name="optimal-transport maps",
        form="x ↦ T_p(x), T_p of least cost from controls to edited cells",
        assumptions=(STATIONARY_CONTROLS, SETTLED, TIME_INDEPENDENT, COMMUTING, MEDIUM_INDEPENDENT, *MEASURED),
        papers=(
            Paper(
                cite="CellOT: Bunne et al., Nature Methods 20, 1759 (2023)",
                address="https://doi.org/10.1038/s41592-023-01969-x",
            ),
        ),
    ),
    Family(
        id="graph-additive",
        name="graph networks that compose edits",
        form="x + g(Σ_p h_p), h_p from a gene graph",
        assumptions=(*_NO_CLOCK, MEDIUM_INDEPENDENT, KNOWN_WIRING, START_INDEPENDENT, ONE_ATTRACTOR, *MEASURED),
        papers=(
            Paper(
                cite="GEARS: Roohani, Huang, Leskovec, Nature Biotechnology 42, 927 (2024)",
                address="https://doi.org/10.1038/s41587-023-01905-6",
            ),
        ),
    ),
    Family(
        id="linear-low-rank",
        name="linear low-rank maps",
        form="Y = G W Pᵀ + b",
        assumptions=(
            *(*_NO_CLOCK, ADDITIVE, START_INDEPENDENT, MEDIUM_INDEPENDENT),
            *(SHARED_RESPONSE, ONE_ATTRACTOR, *MEASURED),
        ),
        papers=(
            Paper(
                cite="Ahlmann-Eltze, Huber, Anders, Nature Methods 22, 1657 (2025)",
                address="https://doi.org/10.1038/s41592-025-02772-6",
            ),
        ),
    ),
    Family(
        id="neural-ode",
        name="Neural ODEs",
        form="dx/dt = net(x, c)",
        assumptions=(INSTANTANEOUS, ONE_ATTRACTOR, *MEASURED),
        papers=(
            Paper(
                cite="RNAForecaster: Erbe, Stein-O’Brien, Fertig, Patterns 4, 100793 (2023)",
                address="https://doi.org/10.1016/j.patter.2023.100793",
            ),
        ),
    ),
    Family(
        id="stationary-diffusion",
        name="stationary diffusions",
        form="dx = f(x) dt + σ(x) dW, its stationary law fitted",
        assumptions=(STATIONARY_CONTROLS, SETTLED, TIME_INDEPENDENT, COMMUTING, MEDIUM_INDEPENDENT, *MEASURED),
        papers=(
            Paper(
                cite="Lorch, Krause, Schölkopf, PMLR 238, 1927 (2024)",
                address="https://arxiv.org/abs/2310.17405",
            ),
        ),
    ),
    Family(
        id="foundation",
        name="one-step foundation models",
        form="x ↦ transformer(x, tokens of the edits)",
        assumptions=(*_NO_CLOCK, MEDIUM_INDEPENDENT, ONE_ATTRACTOR, *MEASURED),
        papers=(
            Paper(
                cite="scGPT: Cui et al., Nature Methods 21, 1470 (2024)",
                address="https://doi.org/10.1038/s41592-024-02201-0",
            ),
            Paper(
                cite="Geneformer: Theodoris et al., Nature 618, 616 (2023)",
                address="https://doi.org/10.1038/s41586-023-06139-9",
            ),
        ),
    ),
    Family(
        id="additive",
        name="additive baseline",
        form="x + Σ_p δ(p)",
        assumptions=(ADDITIVE, COMMUTING, MEDIUM_INDEPENDENT, BATCH_BALANCED, DEPTH_INDEPENDENT, FULL_EFFICACY),
    ),
    Family(
        id="semi-mechanistic",
        name="semi-mechanistic, steady-state loss off",
        form="dx/dt = production − degradation + residual",
        assumptions=(INSTANTANEOUS, KNOWN_WIRING, *MEASURED),
    ),
    Family(
        id="semi-mechanistic-stationary",
        name="semi-mechanistic, steady-state loss on",
        form="the same, with f(controls) = 0",
        assumptions=(STATIONARY_CONTROLS, INSTANTANEOUS, KNOWN_WIRING, *MEASURED),
    ),
)


def relying(assumption: Assumption) -> tuple[Family, ...]:
    """The families that take an assumption for granted."""
    return tuple(family for family in FAMILIES if assumption in family.assumptions)
