"""InteractingModel: a law of cells that do not talk, and what a secreted ligand adds to it in each culture."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import anndata as ad
import numpy as np
import scipy.sparse as sp
from jaxtyping import Float

from semimech._errors import DataError, raise_faults
from semimech.assumptions.catalogue import ADDITIVE, NO_INTERACTION
from semimech.assumptions.coverage import LABELS, Coverage, Harvested, Label
from semimech.data import Dataset
from semimech.experiment import CONTROL, Condition, Edit, Experiment, Period
from semimech.fit.answers import Answer, answer_of
from semimech.predictor import AbstractPredictor, Prediction

_LEAST_LEVEL = 1e-6


@dataclass(frozen=True, kw_only=True)
class Signalling:
    """Who secretes, who listens, and which cells each culture holds.

    Parameters
    ----------
    pairs
        Ligand and receptor, genes of the panel.
    cultures
        Of each medium that is a culture, the share of cells of each perturbation (``control``: unedited). Every other medium holds unedited cells alone, or as many as do not matter.

    Raises
    ------
    DataError
        If there is no pair, or shares of a culture are negative or do not add up to 1.
    """

    pairs: tuple[tuple[str, str], ...]
    cultures: Mapping[str, Mapping[str, float]]

    def __post_init__(self) -> None:
        faults = [] if self.pairs else ["no pair of ligand and receptor: name at least one"]
        for name, shares in self.cultures.items():
            if min(shares.values(), default=-1.0) < 0 or abs(sum(shares.values()) - 1.0) > 1e-6:
                faults.append(f"shares of culture {name!r} must be 0 or more and add up to 1, got {dict(shares)}")
        raise_faults(DataError, "signalling", faults)


class InteractingModel(AbstractPredictor):
    r"""A predictor of cells in co-culture: mean field of secreted ligands, acting on cells that have the receptor.

    .. math::
        \mu_{pc}(t) = f_p(t) + \sum_k B_k(t)\,(\sigma_{kpc} - 1), \qquad
        \sigma_{kpc} = R_{kp}\,\frac{2 L_{kc}}{1 + L_{kc}}, \qquad L_{kc} = \sum_q s_{cq}\, x_{qk}

    with shares :math:`s` of the cells of a culture, :math:`x` their expression of the ligand and :math:`R` that of the receptor in those that listen, both relative to unedited cells and free of the share that an
    edit takes away from the product. The law :math:`f` is fitted to means freed of the second term, so that it is that of the culture of unedited cells.
    Without cultures that differ in a signal its :math:`B` is 0 and the law is alone: the arm that tells is the same edits at two ratios or more.

    Parameters
    ----------
    law
        Predicts conditions without their cultures.
    signalling
        Pairs and cultures.
    data
        Training data, as they were.
    answers
        :math:`B` and its error, by time of harvest.
    """

    def __init__(
        self,
        law: AbstractPredictor,
        signalling: Signalling,
        data: Dataset,
        answers: Mapping[float, Answer],
    ) -> None:
        kept = tuple(a for a in law.assumptions if a is not NO_INTERACTION)
        super().__init__(
            name=f"{law.name} + interaction",
            genes=law.genes,
            assumptions=tuple(dict.fromkeys((*kept, ADDITIVE))),
            var_names=law.var_names,
            maintenance_medium=law.maintenance_medium,
        )
        self.law, self.signalling, self.answers = law, signalling, dict(answers)
        self._data = data

    def predict(self, experiments: Sequence[Experiment]) -> ad.AnnData:
        """Predict every harvest of experiments, with the columns ``coverage`` and ``coverage_axes`` in ``obs`` (see `coverage`)."""
        prediction = super().predict(experiments)
        found = [self.coverage(c) for experiment in experiments for c in experiment.conditions.values()]
        prediction.obs["coverage"] = [each.label for each in found]
        prediction.obs["coverage_axes"] = [", ".join(each.axes) for each in found]
        return prediction

    def coverage(self, condition: Condition) -> Coverage:
        """How a condition stands to what was harvested.

        In a culture that was not harvested it is interpolated at best, on the axis ``culture``, if all its signals lie between those of cells of the same edit at that time, of unedited cells if there are none; else it is extrapolated. What
        it is apart from its culture counts as well.
        """
        system = self._data.system
        if condition.medium not in self.signalling.cultures or condition.medium in system.media:
            return Harvested(conditions=self._data.conditions, system=system).coverage(condition)
        alone = without_culture(condition, self.signalling)
        known = tuple(dict.fromkeys(without_culture(c, self.signalling) for c in self._data.conditions))
        found = Harvested(conditions=known, system=system).coverage(alone)
        own = np.maximum(self._data.scale.to_state(self.law.predict_conditions([alone]).mean[0]), 0.0)
        asked = signal(self._data, self.signalling, condition, own=own)
        rows = self._data.nearest(np.arange(len(self._data.conditions)), condition.hours)
        harvested = [self._data.conditions[row] for row in rows]
        alike = (
            [c for c in harvested if c.edits == condition.edits] or [c for c in harvested if c.is_control] or harvested
        )
        seen = np.array([signal(self._data, self.signalling, c) for c in alike])
        is_between = bool(((seen.min(axis=0) <= asked) & (asked <= seen.max(axis=0))).all())
        label: Label = max((found.label, "interpolated" if is_between else "extrapolated"), key=LABELS.index)
        needed = () if is_between else (NO_INTERACTION,)
        return replace(
            found,
            label=label,
            axes=(*found.axes, "culture"),
            assumptions=tuple(dict.fromkeys((*found.assumptions, *needed))),
            missing=condition,
        )

    def predict_conditions(self, conditions: Sequence[Condition]) -> Prediction:
        """Predict conditions in their cultures, also in those that were not harvested.

        Intervals are the law's and the error of the slopes of signals; that of the levels of ligands and receptors adds nothing. Settled cells have the answer of the last harvest.
        """
        alone = [without_culture(c, self.signalling) for c in conditions]
        within = self.law.predict_conditions(alone)
        move, half = np.zeros_like(within.mean), np.zeros_like(within.mean)
        rows = np.arange(len(self._data.conditions))
        for row, condition in enumerate(conditions):
            answer = self.answers[float(self._data.hours[self._data.nearest(rows, condition.hours)[0]])]
            levels = np.maximum(self._data.scale.to_state(within.mean[row]), 0.0)
            lack = signal(self._data, self.signalling, condition, own=levels) - 1.0
            move[row], half[row] = lack @ answer.slope, answer.half_width(lack)
        least = self._data.scale.to_observed(np.zeros(1))
        mean = within.mean + move
        return Prediction(
            mean=np.maximum(mean, least),
            lower=np.maximum(mean - np.hypot(within.mean - within.lower, half), least),
            upper=np.maximum(mean + np.hypot(within.upper - within.mean, half), least),
        )


def with_interaction(
    data: Dataset, fit_law: Callable[[Dataset], AbstractPredictor], signalling: Signalling
) -> InteractingModel:
    """Fit what ligands do, from the same edits in several cultures, and a law to what is left.

    Answers of genes are weighted least squares inside edits and times, so that no law is needed. Those at a false-discovery rate of 10 % (F test) are kept, shrunk by their variance ratio (James and Stein).

    Parameters
    ----------
    data
        Training data, cultures as media.
    fit_law
        Fits the law to the means without cultures, for instance `semimech.fit`: its loss should be one on means.
    signalling
        Pairs and cultures.

    Raises
    ------
    DataError
        Listing ligands and receptors that are not on the panel, and cells of cultures that were not harvested.
    """
    held = {who for shares in signalling.cultures.values() for who, share in shares.items() if share > 0}
    faults = [f"{gene!r} is not on the panel" for pair in signalling.pairs for gene in pair if gene not in data.genes]
    faults += [f"cells {who!r} of a culture were not harvested" for who in sorted(held - set(data.perturbations))]
    faults += [] if data.is_control.any() else ["no unedited cells: levels of ligands are relative to theirs"]
    raise_faults(DataError, f"{data.name}: interaction", faults)
    signals = np.array([signal(data, signalling, c) for c in data.conditions])
    alone = [without_culture(c, signalling) for c in data.conditions]
    group = _places(alone)[1]
    answers = {
        float(hours): answer_of(data, signals, group, np.flatnonzero(data.hours == hours))
        for hours in np.unique(data.hours)
    }
    freed = data.mean - np.array(
        [(s - 1.0) @ answers[float(c.hours)].slope for s, c in zip(signals, data.conditions, strict=True)]
    )
    return InteractingModel(fit_law(pooled(data, freed, alone)), signalling, data, answers)


def signal(
    data: Dataset, signalling: Signalling, condition: Condition, *, own: Float[np.ndarray, " gene"] | None = None
) -> Float[np.ndarray, " pair"]:
    """Strength of each pair's signal in the cells of a condition; 1 in unedited cells among themselves.

    Parameters
    ----------
    data
        Levels of ligands and receptors, at the time of harvest nearest to the condition's.
    signalling
        Pairs and cultures.
    condition
        Of the cells that listen.
    own
        Their state, where they were not harvested.
    """
    shares = signalling.cultures.get(condition.medium or "", {CONTROL: 1.0})
    found = np.ones(len(signalling.pairs))
    for number, (ligand, receptor) in enumerate(signalling.pairs):
        field = sum(share * _level(data, who, condition.hours, ligand) for who, share in shares.items())
        listens = _level(data, condition.perturbation, condition.hours, receptor, own, condition.edits)
        found[number] = listens * 2.0 * field / (1.0 + field)
    return found


def without_culture(condition: Condition, signalling: Signalling) -> Condition:
    """The condition in the maintenance medium where its medium is a culture."""
    history: list[Period] = []
    for period in condition.history:
        context = period.context
        if context.medium in signalling.cultures:
            context = replace(context, medium=None)
        if history and history[-1].context == context:
            history[-1] = replace(period, context=context, hours=history[-1].hours + period.hours)
        else:
            history.append(replace(period, context=context))
    return Condition(history=tuple(history))


def pooled(data: Dataset, mean: Float[np.ndarray, "condition gene"], alone: Sequence[Condition]) -> Dataset:
    """The data set of conditions without cultures: means over cultures, weighted by cells."""
    names, row = _places(alone)
    total = np.bincount(row, data.n_cells.astype(float))
    weight = sp.csr_array((data.n_cells / total[row], (row, np.arange(len(row)))))
    media = {m for c in names for m in c.media}
    return replace(
        data,
        conditions=tuple(names),
        mean=weight @ mean,
        standard_error=np.sqrt(weight.power(2) @ data.standard_error**2),
        n_cells=total.astype(data.n_cells.dtype),
        halves=None if data.halves is None else np.stack([weight @ half for half in data.halves]),
        cells=None if data.cells is None else replace(data.cells, condition=row[data.cells.condition]),
        system=replace(data.system, media=tuple(m for m in data.system.media if m in media)),
    )


def _places(alone: Sequence[Condition]) -> tuple[list[Condition], np.ndarray]:
    """Conditions without repetition, and the place of each there."""
    places: dict[Condition, int] = {}
    row = np.array([places.setdefault(c, len(places)) for c in alone])
    return list(places), row


def _level(
    data: Dataset,
    who: str,
    hours: float,
    gene: str,
    own: Float[np.ndarray, " gene"] | None = None,
    edits: tuple[Edit, ...] = (),
) -> float:
    """Working product of a gene in the cells of a perturbation, over that in unedited ones: their expression, less what an edit takes from the product."""
    column = data.genes.index(gene)
    rows = data.rows_by_perturbation.get(who)
    if rows is not None:
        rows = data.nearest(rows, hours)
        level = _mean_state(data, rows, column)
        edits = data.conditions[rows[0]].edits
    elif own is not None:
        level = float(own[column])
    else:
        level = 1.0
    control = data.nearest(data.rows_by_perturbation[CONTROL], hours)
    reference = _mean_state(data, control, column)
    works = np.prod([1.0 - e.efficacy for e in edits if e.gene == gene and e.kind in ("knockout", "drug")])
    return float(works) * level / max(reference, _LEAST_LEVEL)


def _mean_state(data: Dataset, rows: np.ndarray, column: int) -> float:
    state = np.maximum(data.scale.to_state(data.mean[rows, column]), 0.0)
    return float(np.average(state, weights=data.n_cells[rows]))
