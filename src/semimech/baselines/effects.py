"""Effects: what the training edits did, as changes against matched controls; the one record all baselines share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TypeAlias

import numpy as np
from jaxtyping import Bool, Float, Int

from semimech.baselines.interpolate import hours_edited, time_weights
from semimech.baselines.target import TargetLoss
from semimech.data import Dataset
from semimech.experiment import Condition, Edit

Edits: TypeAlias = tuple[Edit, ...]
Media: TypeAlias = tuple[str | None, ...]


@dataclass(frozen=True, eq=False)
class Effects:
    """Changes of edited conditions against their matched controls, looked up by edits, media and time.

    Time is counted from the first edit. Between harvests a change is interpolated linearly, before the first
    harvest it grows from zero (if there are controls to say what zero is), after the last it persists. Cells whose
    compounds were washed out are neither controls nor edited: they are looked up by their whole course.

    Parameters
    ----------
    dataset
        Training data.
    """

    dataset: Dataset
    _weights: dict[tuple[bytes, float], np.ndarray] = field(default_factory=dict, init=False, repr=False)
    _controls: dict[object, np.ndarray] = field(default_factory=dict, init=False, repr=False)
    _tables: dict[tuple[Media, float], tuple[tuple[Edits, ...], np.ndarray]] = field(
        default_factory=dict, init=False, repr=False
    )

    @cached_property
    def rows(self) -> Int[np.ndarray, " edited"]:
        """Rows of conditions in the data set that carry an edit at the harvest, and no mark of a compound washed out."""
        conditions = self.dataset.conditions
        return np.array([r for r, c in enumerate(conditions) if c.edits and not c.washed_out], dtype=int)

    @cached_property
    def conditions(self) -> tuple[Condition, ...]:
        """The edited conditions."""
        return tuple(self.dataset.conditions[row] for row in self.rows)

    def matched_control(self, condition: Condition) -> Float[np.ndarray, " gene"]:
        """Mean of the unedited cells to compare a condition with."""
        key = self.dataset.system.comparison(condition)
        if key not in self._controls:
            self._controls[key] = self.dataset.matched_control(condition)
        return self._controls[key]

    @cached_property
    def control(self) -> Float[np.ndarray, "edited gene"]:
        """Matched controls of the edited conditions, observed scale."""
        shape = (len(self.rows), len(self.dataset.genes))
        return np.array([self.matched_control(c) for c in self.conditions]).reshape(shape)

    @cached_property
    def change(self) -> Float[np.ndarray, "edited gene"]:
        """Edited mean minus matched control, observed scale."""
        return self.dataset.mean[self.rows] - self.control

    @cached_property
    def hours(self) -> Float[np.ndarray, " edited"]:
        """Hours since the first edit."""
        return np.array([hours_edited(c) for c in self.conditions], dtype=float)

    @cached_property
    def perturbations(self) -> tuple[Edits, ...]:
        """The different sets of edits, in order of appearance."""
        return tuple(dict.fromkeys(c.edits for c in self.conditions))

    @cached_property
    def singles(self) -> dict[Edit, Edits]:
        """Edits that were made alone."""
        return {edits[0]: edits for edits in self.perturbations if len(edits) == 1}

    @cached_property
    def edited_genes(self) -> frozenset[str]:
        """Every gene that some training condition edits."""
        return frozenset(edit.gene for edits in self.perturbations for edit in edits)

    @cached_property
    def gene_index(self) -> dict[str, int]:
        """Column of each gene."""
        return {gene: column for column, gene in enumerate(self.dataset.genes)}

    @cached_property
    def _rows_of(self) -> dict[tuple[Edits, Media], np.ndarray]:
        found: dict[tuple[Edits, Media], list[int]] = {}
        for row, condition in enumerate(self.conditions):
            found.setdefault((condition.edits, condition.media), []).append(row)
        return {key: np.array(rows) for key, rows in found.items()}

    def curve(self, edits: Edits, media: Media) -> Int[np.ndarray, " harvest"]:
        """Indices into `change` of the harvests of one set of edits in one sequence of media."""
        return self._rows_of.get((edits, media), np.array([], dtype=int))

    def effect(self, edits: Edits, media: Media, hours: float) -> Float[np.ndarray, " gene"] | None:
        """Change of a training perturbation at a time; the mean over other media if it was not made in these.

        Returns ``None`` for edits that were never made.
        """
        rows = self.curve(edits, media)
        if len(rows):
            return self._at(rows, hours)
        curves = [rows for (made, _), rows in self._rows_of.items() if made == edits]
        return np.mean([self._at(rows, hours) for rows in curves], axis=0) if curves else None

    def recovery(self, condition: Condition) -> Float[np.ndarray, " gene"] | None:
        """Change of cells whose compounds were washed out, between harvests of their very course; it persists after the last.

        The cells at the wash, if they were harvested, are the first point. ``None`` if nothing of the course was.
        """
        *before, last = condition.history
        rows, hours = [], []
        for row, made in enumerate(self.dataset.conditions):
            *earlier, now = made.history
            if earlier == before and now.context == last.context:
                rows.append(row)
                hours.append(now.hours)
            elif list(made.history) == before:
                rows.append(row)
                hours.append(0.0)
        if not rows:
            return None
        control = np.array([self.matched_control(self.dataset.conditions[row]) for row in rows])
        return time_weights(np.array(hours), last.hours, from_zero=False) @ (self.dataset.mean[rows] - control)

    def table(self, media: Media, hours: float) -> tuple[tuple[Edits, ...], Float[np.ndarray, "perturbation gene"]]:
        """Changes of every training perturbation at one time: those made in these media, or all if none was."""
        key = (media, hours)
        if key not in self._tables:
            here = tuple(edits for edits in self.perturbations if len(self.curve(edits, media)))
            here = here or self.perturbations
            effects = [self.effect(edits, media, hours) for edits in here]
            self._tables[key] = here, np.array(effects).reshape(len(here), len(self.dataset.genes))
        return self._tables[key]

    def whole_table(self, media: Media, hours: float) -> Float[np.ndarray, "perturbation gene"]:
        """Changes of every training perturbation at one time, in the order of `perturbations`, in whatever media."""
        effects = [self.effect(edits, media, hours) for edits in self.perturbations]
        return np.array(effects).reshape(len(effects), len(self.dataset.genes))

    def single_table(self, media: Media, hours: float) -> tuple[Edits, Float[np.ndarray, "edit gene"]]:
        """Changes of the edits that were made alone."""
        made, change = self.table(media, hours)
        keep = [row for row, edits in enumerate(made) if len(edits) == 1]
        return tuple(made[row][0] for row in keep), change[keep]

    def columns(self, edits: Sequence[Edit]) -> Int[np.ndarray, " target"]:
        """Columns of the targets that are measured."""
        return np.array([self.gene_index[e.gene] for e in edits if e.gene in self.gene_index], dtype=int)

    def target_mask(self, made: Sequence[Edits]) -> Bool[np.ndarray, "perturbation gene"]:
        """Which gene is the target of which perturbation."""
        mask = np.zeros((len(made), len(self.dataset.genes)), dtype=bool)
        for row, edits in enumerate(made):
            mask[row, self.columns(edits)] = True
        return mask

    def mean_effect(self, edits: Edits, media: Media, hours: float) -> Float[np.ndarray, " gene"]:
        """Mean change over training perturbations like these edits, each without its own targets.

        Alike are perturbations of as many genes by the same kinds of edit; without any, all of as many genes;
        without any, all. A gene that every one of them targets is taken not to change. No edit has no effect.
        """
        if not edits:
            return np.zeros(len(self.dataset.genes))
        made, change = self.table(media, hours)
        if not made:
            return np.zeros(len(self.dataset.genes))
        kinds = [sorted(e.kind for e in other) for other in made]
        alike = np.array([k == sorted(e.kind for e in edits) for k in kinds])
        if not alike.any():
            alike = np.array([len(k) == len(edits) for k in kinds])
        keep = alike if alike.any() else np.ones(len(made), dtype=bool)
        return masked_mean(change[keep], ~self.target_mask(made)[keep])

    @cached_property
    def target_loss(self) -> TargetLoss:
        """How much of its own target an edit removes."""
        rows = np.array(
            [r for r, c in enumerate(self.conditions) if len(c.edits) == 1 and len(self.columns(c.edits))], dtype=int
        )
        edits = [self.conditions[row].edits[0] for row in rows]
        columns = self.columns(edits)
        return TargetLoss(
            scale=self.dataset.scale,
            gene_index=self.gene_index,
            edits=edits,
            hours=self.hours[rows],
            control=self.control[rows, columns],
            edited=self.dataset.mean[self.rows[rows], columns],
            standard_error=self.dataset.standard_error[self.rows[rows], columns],
        )

    @cached_property
    def profiles(self) -> Float[np.ndarray, "gene feature"]:
        """The company each gene keeps, a vector of length one: see `Likeness`."""
        moments = self.dataset.control_moments
        if moments is not None:
            deviation = np.sqrt(np.maximum(np.diag(moments.covariance) + moments.noise, 1e-12))
            profile = moments.covariance / deviation[:, None] / deviation[None, :]
            np.fill_diagonal(profile, 1.0)
        else:
            change = self.change * ~self.target_mask([c.edits for c in self.conditions])
            profile = (change / np.maximum(change.std(axis=0), 1e-12)).T
        return profile / np.maximum(np.linalg.norm(profile, axis=1, keepdims=True), 1e-12)

    @cached_property
    def directions(self) -> Float[np.ndarray, "gene rank"]:
        """Principal directions of the training changes, own targets put at the mean of the other edits."""
        keep = ~self.target_mask([c.edits for c in self.conditions])
        filled = np.where(keep, self.change, masked_mean(self.change, keep))
        return np.linalg.svd(filled, full_matrices=False)[2].T

    def without(self, rows: Int[np.ndarray, " left_out"]) -> Effects:
        """The record without some of its edited conditions, for inner validation."""
        keep = np.ones(len(self.dataset.conditions), dtype=bool)
        keep[self.rows[rows]] = False
        return Effects(replace(self.dataset, cells=None, halves=None).subset(keep))

    def _at(self, rows: np.ndarray, hours: float) -> np.ndarray:
        harvests = self.hours[rows]
        key = (harvests.tobytes(), hours)
        if key not in self._weights:
            self._weights[key] = time_weights(harvests, hours, from_zero=bool(self.dataset.is_control.any()))
        return self._weights[key] @ self.change[rows]


def masked_mean(
    values: Float[np.ndarray, "perturbation gene"], keep: Bool[np.ndarray, "perturbation gene"]
) -> Float[np.ndarray, " gene"]:
    """Mean over the rows that are kept, column by column; zero where none is."""
    return (values * keep).sum(axis=0) / np.maximum(keep.sum(axis=0), 1)
