"""Learning to borrow: from which sources of likeness, how much and at which times, on training edits that are held out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
import pandas as pd
import scipy.sparse as sp
from jaxtyping import Bool, Float

from semimech.data import Dataset
from semimech.data.dataset import ControlMoments
from semimech.fit.amplitudes import amplitudes, best_response, unseen_genes
from semimech.fit.donors import Donors, Lender, Lent, lone_edit, make_donors
from semimech.fit.held_out import linear_effects
from semimech.fit.kriging import Table, choose_strengths
from semimech.fit.linear import LinearEffects
from semimech.model import Kinship, PriorNetwork, likeness, neighbour_profile

NETWORK, COEXPRESSION, CORESPONSE = "network", "co-expression", "co-response"
"""Sources of likeness beside the user's tables: the prior network, unedited cells, and the other training edits."""
NO_SOURCES = pd.DataFrame({"source": [], "targets": [], "alone": [], "strength": []})
_GROUPS = 6
_MOST = 300
Profile: TypeAlias = sp.csr_array | np.ndarray


@dataclass(frozen=True, kw_only=True, eq=False)
class Borrowing:
    """What was learned of borrowing.

    Parameters
    ----------
    lender
        Lends to unseen edits.
    steps
        What each training condition would have borrowed while the edits of its fold were held out; zero where it was in no fold.
    table
        Sources of likeness: ``source``; ``targets``, the number of donors that it knows; ``alone``, the error of left-out edits with
        this source alone at its best strength, relative to the mean of the others; and ``strength`` in the end.
    """

    lender: Lender
    steps: Float[np.ndarray, "condition gene 3"]
    table: pd.DataFrame


@dataclass(frozen=True, kw_only=True, eq=False)
class _Lesson:
    """Donors, what is known of their likeness, and how well their effects are measured."""

    donors: Donors
    kin: tuple[str, ...]
    profiles: Mapping[str, Profile]
    weight: Float[np.ndarray, " gene"]
    error: Float[np.ndarray, " donated"]
    row: np.ndarray
    linear: LinearEffects | None
    seed: int

    def lender(self, without: frozenset[str]) -> tuple[Lender, pd.DataFrame]:
        """A lender that learned from all donors but some, and what it found of each source."""
        donors = self.donors
        known = np.array([number for name, number in donors.number.items() if name not in without], dtype=int)
        if len(known) > _MOST:
            known = np.sort(np.random.default_rng(self.seed).permutation(known)[:_MOST])
        profiles = {**self.profiles, CORESPONSE: self._responses(without)}
        place = {gene: i for i, gene in enumerate(self.kin)}
        at = np.array([place[name] for name in donors.names], dtype=int)
        alike = {name: self._likeness(name, profile, at, known) for name, profile in profiles.items()}
        kernels = np.array([each[np.ix_(at[known], known)] for each in alike.values()])
        own = self._own(without)
        strengths, alone = choose_strengths(kernels, self._tables(known), own[known])
        everything = np.zeros((len(self.kin), len(donors.names)))
        for strength, each in zip(strengths, alike.values(), strict=True):
            everything += strength * each
        lent = Lent(
            row=self.row,
            likeness=everything.astype(np.float32),
            own=own.astype(np.float32),
            response=np.zeros((0, len(donors.genes)), np.float32),
            hours=np.zeros(1, np.float32),
            amplitude=np.ones((2, 1), np.float32),
        )
        holds = [np.abs(likeness(p, at, at).diagonal()) > 0 for p in profiles.values()]
        table = pd.DataFrame(
            {
                "source": list(profiles),
                "targets": [int(each.sum()) for each in holds],
                "alone": alone,
                "strength": strengths,
            }
        )
        return Lender(donors=donors, kin=self.kin, lent=lent, linear=self.linear), table

    def _likeness(
        self, name: str, profile: Profile, at: np.ndarray, known: np.ndarray
    ) -> Float[np.ndarray, "kin donor"]:
        """How much genes are like donors by one source, each wholly like itself.

        Who stands in no complex is like no other. Who is not measured may be like any: it is as like each donor as donors are on average.
        """
        if name in (COEXPRESSION, CORESPONSE):
            is_unmeasured = np.array([gene not in self.donors.column for gene in self.kin])
            measured = [number for number in at[known] if not is_unmeasured[number]]
            if measured:
                profile = np.where(is_unmeasured[:, None], profile[measured].mean(axis=0), profile)
        found = likeness(profile, np.arange(len(self.kin)), at)
        found[at, np.arange(len(at))] = 1.0
        return found

    def _tables(self, known: np.ndarray) -> list[Table]:
        """Effects of donors at each time and in each medium, as products over genes."""
        place = {int(donor): i for i, donor in enumerate(known)}
        but = frozenset(name for name, number in self.donors.number.items() if number not in place)
        tables: dict[object, Table] = {}
        asked = zip(self.donors.seen.conditions, self.donors.made, strict=True)
        for condition, edit in {self.donors.template(*each): each for each in asked}.values():
            rows, effects = self.donors.effects(condition, edit, but=but)
            key = (tuple(rows), effects.tobytes())
            if key not in tables:
                scaled = effects * np.sqrt(self.weight)
                tables[key] = Table(rows=np.array([place[int(r)] for r in rows], dtype=int), gram=scaled @ scaled.T)
        return list(tables.values())

    def _own(self, without: frozenset[str]) -> Float[np.ndarray, " donor"]:
        """One, and the squared errors of each donor's effects relative to how much effects differ beyond such errors."""
        changes, names = self.donors.seen.residual, np.array([edit.gene for edit in self.donors.made], object)
        keep = np.array([name not in without for name in names], dtype=bool)
        error = np.array([self.error[names == name].mean() for name in self.donors.names])
        spread = float(((changes[keep] - changes[keep].mean(axis=0)) ** 2 @ self.weight).mean()) if keep.any() else 0.0
        beyond = max(spread - float(self.error[keep].mean()) if keep.any() else 0.0, 0.1 * spread, 1e-12)
        return 1.0 + error / beyond

    def _responses(self, without: frozenset[str]) -> Float[np.ndarray, "kin donated"]:
        """How each gene that is measured changed in the donors' conditions, in units of its spread, its own edit left out."""
        keep = [row for row, edit in enumerate(self.donors.made) if edit.gene not in without]
        change = self.donors.seen.residual[keep].copy()
        if not keep:
            return np.zeros((len(self.kin), 0))
        for place, row in enumerate(keep):
            column = self.donors.column.get(self.donors.made[row].gene)
            if column is not None:
                change[place, column] = 0.0
        return _spread_over(self.kin, self.donors.column, (change / np.maximum(change.std(axis=0), 1e-9)).T)


def learn_borrowing(
    dataset: Dataset,
    folds: Sequence[Bool[np.ndarray, " condition"]],
    weight: Float[np.ndarray, "condition gene"],
    *,
    prior: PriorNetwork | None,
    kinship: Kinship | None,
    seed: int,
) -> Borrowing:
    """Learn from which edits an unseen one should borrow.

    The strengths of sources are learned by leaving edits out one by one. What a training condition borrows in ``steps`` comes from a lender that
    learned its strengths without the condition's edits and those of their group, and of course without them as donors.

    Parameters
    ----------
    dataset
        Training conditions.
    folds
        Conditions held out together; the genes that only they edit are unseen in them.
    weight
        Weight of each squared error, zero where none is scored.
    prior
        Known wiring.
    kinship
        Tables of genes that act alike.
    seed
        Of the groups.
    """
    lesson = _lesson(dataset, weight, prior, kinship, seed)
    lender, table = lesson.lender(frozenset())
    unseen = unseen_genes(dataset, folds)
    steps = np.zeros((*dataset.mean.shape, 3))
    names = np.random.default_rng(seed).permutation(np.array(sorted({g for genes in unseen for g in genes}), object))
    group = {gene: number % _GROUPS for number, gene in enumerate(names)}
    changes = dataset.mean - np.stack([dataset.matched_control(c) for c in dataset.conditions])
    response = best_response(dataset, unseen, changes, weight)
    for number in range(min(_GROUPS, len(names))):
        left_out, _ = lesson.lender(frozenset(gene for gene in names if group[gene] == number))
        left_out = _with(left_out, response=response)
        for row, genes in enumerate(unseen):
            if genes and group[min(genes)] == number:
                steps[row] = left_out.loan(dataset.conditions[row], genes).steps
    rows = np.array([row for row, genes in enumerate(unseen) if genes], dtype=int)
    hours, amplitude = amplitudes(dataset.hours[rows], steps[rows], changes[rows], weight[rows])
    for row in rows:
        steps[row, :, 1:] *= amplitude[:, np.searchsorted(hours, dataset.hours[row])]
    return Borrowing(
        lender=_with(lender, response=response, hours=hours, amplitude=amplitude), steps=steps, table=table
    )


def _lesson(
    dataset: Dataset, weight: np.ndarray, prior: PriorNetwork | None, kinship: Kinship | None, seed: int
) -> _Lesson:
    row = np.array([r for r, c in enumerate(dataset.conditions) if lone_edit(c) is not None], dtype=int)
    changes = dataset.mean[row] - np.array([dataset.matched_control(dataset.conditions[r]) for r in row]).reshape(
        len(row), len(dataset.genes)
    )
    has_pool = dataset.system.is_stationary and dataset.is_stationary_control.any()
    pool = dataset.control_mean() if has_pool else None
    donors = make_donors([dataset.conditions[r] for r in row], changes, dataset.genes, pool)
    kin = _kin(dataset, donors, prior, kinship)
    profiles: dict[str, Profile] = {} if kinship is None else dict(kinship.profiles(kin))
    if prior is not None:
        profiles[NETWORK] = neighbour_profile(prior.edges, kin)
    if dataset.control_moments is not None:
        profiles[COEXPRESSION] = _spread_over(kin, donors.column, _correlation(dataset.control_moments))
    mean_weight = weight[row].mean(axis=0) if len(row) else np.ones(len(dataset.genes))
    noise = dataset.known_variance[row] @ mean_weight
    return _Lesson(
        donors=donors,
        kin=kin,
        profiles=profiles,
        weight=mean_weight,
        error=noise,
        row=row,
        linear=linear_effects(dataset),
        seed=seed,
    )


def _kin(dataset: Dataset, donors: Donors, prior: PriorNetwork | None, kinship: Kinship | None) -> tuple[str, ...]:
    """Measured genes, donors, and all genes of tables."""
    tables = set() if kinship is None else set(kinship.genes)
    if prior is not None:
        tables |= set(prior.edges["source"].astype(str)) | set(prior.edges["target"].astype(str))
    return tuple(dict.fromkeys([*dataset.genes, *donors.names, *sorted(tables)]))


def _correlation(moments: ControlMoments) -> Float[np.ndarray, "gene gene"]:
    """Correlations over unedited cells, noise counting in the variances: a gene drowned in noise is like nothing."""
    deviation = np.sqrt(np.maximum(np.diagonal(moments.covariance) + moments.noise, 1e-12))
    correlation = moments.covariance / np.outer(deviation, deviation)
    np.fill_diagonal(correlation, 1.0)
    return correlation


def _spread_over(
    kin: Sequence[str], column: Mapping[str, int], profile: np.ndarray
) -> Float[np.ndarray, "kin feature"]:
    """Profiles of measured genes, of length one, among those of all kin; zero for those that are not measured."""
    unit = profile / np.maximum(np.linalg.norm(profile, axis=1, keepdims=True), 1e-12)
    found = np.zeros((len(kin), profile.shape[1]))
    for place, gene in enumerate(kin):
        if gene in column:
            found[place] = unit[column[gene]]
    return found


def _with(lender: Lender, **numbers: np.ndarray) -> Lender:
    values = {name: np.asarray(value, np.float32) for name, value in numbers.items()}
    lent = Lent(**{**{f: getattr(lender.lent, f) for f in Lent.__dataclass_fields__}, **values})
    return replace(lender, lent=lent)


def borrowing_note(table: pd.DataFrame, trust: Float[np.ndarray, 6]) -> str:
    """What unseen edits borrow, in words."""
    used = table[table["strength"] > 0]
    if trust[4] == 0 or not len(used):
        return "Inner validation found no source of likeness between edits that helps: unseen edits borrow their mean at most."
    sources = ", ".join(f"{row.source} (error alone {row.alone:.2f} of the mean's)" for row in used.itertuples())
    return f"Unseen edits borrow {trust[4]:.0%} of what edits like them did beyond the mean of all; alike by {sources}."
