"""Baselines that copy or average what training edits did."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from semimech._errors import DataError
from semimech.assumptions.catalogue import ADDITIVE, COMMUTING, INSTANTANEOUS, MEDIUM_INDEPENDENT, SHARED_RESPONSE
from semimech.baselines.baseline import AbstractBaseline, Question
from semimech.baselines.effects import Edits, Effects, Media
from semimech.baselines.likeness import Likeness
from semimech.experiment import Edit


class NoChange(AbstractBaseline):
    """The matched control, with each edit's own target set to what such edits leave of it (`TargetLoss`)."""

    def __init__(self, effects: Effects) -> None:
        super().__init__(effects, name="no change", assumptions=(INSTANTANEOUS,), knows_recovery=False)

    def changes(self, question: Question) -> Float[np.ndarray, "perturbation gene"]:
        """Zero except for the targets."""
        nothing = np.zeros((len(question.made), len(self.genes)))
        return self.effects.target_loss.set_targets(nothing, question.made, question.hours, question.control)


class MeanOfEdits(AbstractBaseline):
    """The mean change over training edits at the same time and in the same medium, whatever the edit.

    Each training edit's own target is left out of the average.

    Raises
    ------
    DataError
        If no training condition is edited.
    """

    def __init__(self, effects: Effects) -> None:
        super().__init__(effects, name="mean of edits", assumptions=(SHARED_RESPONSE,))
        need_edits(effects, self.name)

    def changes(self, question: Question) -> Float[np.ndarray, "perturbation gene"]:
        """The mean change of training perturbations like each one asked."""
        return mean_effects(self.effects, question)


class MeanAndTarget(AbstractBaseline):
    """The mean change over training edits, with each edit's own target set to what such edits leave of it.

    Raises
    ------
    DataError
        If no training condition is edited.
    """

    def __init__(self, effects: Effects) -> None:
        super().__init__(effects, name="mean of edits + target", assumptions=(SHARED_RESPONSE, INSTANTANEOUS))
        need_edits(effects, self.name)

    def changes(self, question: Question) -> Float[np.ndarray, "perturbation gene"]:
        """The mean change, own targets set."""
        mean = mean_effects(self.effects, question)
        return self.effects.target_loss.set_targets(mean, question.made, question.hours, question.control)


class Additive(AbstractBaseline):
    """The sum of the effects of single edits on the observed scale.

    The effect of an edit never made alone is that of a training pair less its measured partner; without one it is the
    mean effect of training edits with its own target set. An edit made at another efficacy is scaled in proportion.

    Raises
    ------
    DataError
        If no training condition is edited.
    """

    def __init__(self, effects: Effects) -> None:
        super().__init__(
            effects, name="additive", assumptions=(ADDITIVE, COMMUTING, MEDIUM_INDEPENDENT, SHARED_RESPONSE)
        )
        need_edits(effects, self.name)

    def changes(self, question: Question) -> Float[np.ndarray, "perturbation gene"]:
        """The sum over edits."""
        total = np.zeros((len(question.made), len(self.genes)))
        unseen: list[list[Edit]] = [[] for _ in question.made]
        for row, made in enumerate(question.made):
            for edit in made:
                effect = single_effect(self.effects, edit, question.media, question.hours)
                if effect is None:
                    effect = self.effects.mean_effect((edit,), question.media, question.hours)
                    unseen[row].append(edit)
                total[row] += effect
        return self.effects.target_loss.set_targets(total, unseen, question.hours, question.control)


class NearestEdit(AbstractBaseline):
    """The change made by the training edit whose target is most like this edit's target (`Likeness`).

    Edits made alone in training are their own nearest; effects of several edits add up; an edit of a gene that is
    not measured gets the mean effect. The target of an unseen edit is set to what such edits leave of it.

    Raises
    ------
    DataError
        If no training edit of a measured gene was made alone.
    """

    def __init__(self, effects: Effects) -> None:
        super().__init__(effects, name="nearest edit", assumptions=(SHARED_RESPONSE, ADDITIVE, COMMUTING))
        need_measured_targets(effects, self.name, at_least=1)
        self._likeness = Likeness(effects)

    def changes(self, question: Question) -> Float[np.ndarray, "perturbation gene"]:
        """The sum over edits of the nearest effects."""
        total = np.zeros((len(question.made), len(self.genes)))
        for row, made in enumerate(question.made):
            for edit in made:
                effect = single_effect(self.effects, edit, question.media, question.hours)
                total[row] += self._nearest(edit, question) if effect is None else effect
        return total

    def _nearest(self, edit: Edit, question: Question) -> Float[np.ndarray, " gene"]:
        """Effect of the training edit whose target is most like this one's, both targets apart."""
        effect = self.effects.mean_effect((edit,), question.media, question.hours)
        made, change = self.effects.single_table(question.media, question.hours)
        measured = [row for row, other in enumerate(made) if other.gene in self.effects.gene_index]
        if edit.gene in self.effects.gene_index and measured:
            alike = [row for row in measured if made[row].kind == edit.kind] or measured
            likeness = self._likeness([edit], [made[row] for row in alike])[0]
            nearest = alike[int(np.argmax(likeness))]
            # The neighbour's own target says nothing about this edit: there the mean stays.
            others = np.arange(len(self.genes)) != self.effects.gene_index[made[nearest].gene]
            effect[others] = change[nearest, others]
        effects = self.effects.target_loss.set_targets(effect[None], [[edit]], question.hours, question.control)
        return effects[0]


def mean_effects(effects: Effects, question: Question) -> Float[np.ndarray, "perturbation gene"]:
    """The mean effect of training perturbations like each one asked, computed once for those of the same kinds."""
    kinds = [tuple(sorted(edit.kind for edit in made)) for made in question.made]
    first = dict(zip(kinds, question.made, strict=True))
    mean = {kind: effects.mean_effect(made, question.media, question.hours) for kind, made in first.items()}
    return np.array([mean[kind] for kind in kinds])


def single_effect(effects: Effects, edit: Edit, media: Media, hours: float) -> Float[np.ndarray, " gene"] | None:
    """Effect of one edit at a time, from training edits of the same gene by the same kind; ``None`` without any.

    From the edit made alone (nearest efficacy, scaled in proportion), otherwise from a pair less its partner.
    """
    alike = [e for e in effects.singles if (e.gene, e.kind) == (edit.gene, edit.kind)]
    if alike:
        nearest = min(alike, key=lambda e: abs(e.efficacy - edit.efficacy))
        effect = effects.effect((nearest,), media, hours)
        dose = edit.efficacy / nearest.efficacy if nearest.efficacy else 1.0
        return None if effect is None else dose * effect
    differences = []
    for pair in effects.perturbations:
        if len(pair) == 2 and edit in pair:
            partner: Edits = tuple(e for e in pair if e != edit)
            both, other = effects.effect(pair, media, hours), effects.effect(partner, media, hours)
            if both is not None and other is not None:
                differences.append(both - other)
    return np.mean(differences, axis=0) if differences else None


def need_edits(effects: Effects, name: str) -> None:
    """Raise `DataError` if no training condition is edited."""
    if not effects.perturbations:
        raise DataError(f"{name!r} needs edited conditions in training, there is none")


def need_measured_targets(effects: Effects, name: str, *, at_least: int) -> None:
    """Raise `DataError` if too few measured genes were edited alone."""
    count = len({e.gene for e in effects.singles if e.gene in effects.gene_index})
    if count < at_least:
        raise DataError(
            f"{name!r} needs at least {at_least} measured genes edited alone in training, there are {count}"
        )
