"""Linear baselines: ridge regression on edits, and a low-rank map between embeddings of edits and genes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from semimech.assumptions.catalogue import ADDITIVE, COMMUTING, SHARED_RESPONSE
from semimech.baselines.baseline import AbstractBaseline, Question
from semimech.baselines.effects import Edits, Effects, Media, masked_mean
from semimech.baselines.inner import choose_by_left_out_edits
from semimech.baselines.likeness import Likeness
from semimech.baselines.simple import need_edits, need_measured_targets
from semimech.experiment import Edit


class RidgeOnEdits(AbstractBaseline):
    r"""Ridge regression of the change on the edits, seen edits by name and unseen ones by likeness.

    The change is linear in the efficacies of the edits, as in MIMOSCA [1]_: an unpenalised effect common to all edits,
    a penalised effect of each gene, and a penalised effect of the targets' profiles (`Likeness`), through which an
    unseen edit borrows from edits like it. Solved as kernel ridge regression with the kernel

    .. math:: k(e, e') = s_e s_{e'} \left((1 - \rho) \, 1[g_e = g_{e'}] + \rho \, L(g_e, g_{e'})\right)

    summed over the edits of a combination; :math:`s` is the efficacy, negative for activation. A fit is made for each
    time and medium, with edits that were not made in that medium as they are in others; penalty and share are common.

    Parameters
    ----------
    effects
        What the training edits did.
    penalty
        Ridge penalty, in units of a single edit's kernel value, 1: the ratio of noise to signal in one effect.
    borrowed
        :math:`\rho`, the share of an effect that goes with likeness; at 0 an unseen edit gets the common effect.

    Raises
    ------
    DataError
        If no training condition is edited.

    References
    ----------
    .. [1] Dixit et al., Perturb-Seq: dissecting molecular circuits with scalable single-cell RNA profiling of pooled
       genetic screens, Cell 167, 1853 (2016). https://doi.org/10.1016/j.cell.2016.11.038
    """

    def __init__(self, effects: Effects, *, penalty: float, borrowed: float) -> None:
        super().__init__(effects, name="ridge", assumptions=(ADDITIVE, COMMUTING, SHARED_RESPONSE))
        need_edits(effects, self.name)
        self.penalty = penalty
        self.borrowed = borrowed
        self._likeness = Likeness(effects)
        self._fits: dict[tuple[Media, float], tuple[tuple[Edits, ...], np.ndarray, np.ndarray]] = {}

    def changes(self, question: Question) -> Float[np.ndarray, "perturbation gene"]:
        """The common effect of each edit plus what the kernel adds; targets of unseen edits set."""
        made, common, dual = self._fit(question.media, question.hours)
        predicted = _total(question.made)[:, None] * common + self._kernel(question.made, made) @ dual
        unseen = unseen_edits(self.effects, question)
        return self.effects.target_loss.set_targets(predicted, unseen, question.hours, question.control)

    def _fit(self, media: Media, hours: float) -> tuple[tuple[Edits, ...], np.ndarray, np.ndarray]:
        key = (media, hours)
        if key not in self._fits:
            made, change = self.effects.perturbations, self.effects.whole_table(media, hours)
            number = _total(made)
            keep = ~self.effects.target_mask(made)
            common = masked_mean(change * number[:, None], keep) / np.maximum(
                masked_mean(np.broadcast_to(number[:, None] ** 2, change.shape), keep), 1e-12
            )
            kernel = self._kernel(made, made)
            dual = np.linalg.solve(kernel + self.penalty * np.eye(len(made)), change - number[:, None] * common)
            self._fits[key] = made, common, dual
        return self._fits[key]

    def _kernel(self, left: Sequence[Edits], right: Sequence[Edits]) -> Float[np.ndarray, "left right"]:
        edits = tuple(dict.fromkeys(e for made in (*left, *right) for e in made))
        place = {edit: i for i, edit in enumerate(edits)}
        same = np.array([[a.gene == b.gene for b in edits] for a in edits], dtype=float)
        between = (1.0 - self.borrowed) * same + self.borrowed * self._likeness(edits, edits)
        return _design(left, place) @ between @ _design(right, place).T


class LowRank(AbstractBaseline):
    r"""Low-rank linear map between an embedding of the edit's target and an embedding of the genes.

    .. math:: Y \approx G W (P - \bar P)^\top + b

    after Ahlmann-Eltze et al. [1]_: rows of :math:`G` are genes, embedded by the leading principal directions of the
    training changes; rows of :math:`P` are the rows of :math:`G` at the edited genes, scaled by efficacy; :math:`b`
    is the mean change. Unlike there, the embedding is of changes instead of means, :math:`P` is centred as well as
    :math:`Y`, so that the map is exact where responses are linear, and rank and penalty are chosen by leaving out edits.
    Effects of several edits add up; an edit of an unmeasured gene gets the mean. Targets of unseen edits are set.

    Parameters
    ----------
    effects
        What the training edits did.
    rank
        Number of principal directions.
    penalty
        Ridge penalty on :math:`W`, relative to the mean square of the centred embedding of training edits.

    Raises
    ------
    DataError
        If fewer than three measured genes were edited alone in training.

    References
    ----------
    .. [1] Ahlmann-Eltze, Huber, Anders, Deep-learning-based gene perturbation effect prediction does not yet
       outperform simple linear baselines, Nature Methods 22, 1657 (2025). https://doi.org/10.1038/s41592-025-02772-6
    """

    def __init__(self, effects: Effects, *, rank: int, penalty: float) -> None:
        super().__init__(effects, name="low-rank linear", assumptions=(SHARED_RESPONSE, ADDITIVE, COMMUTING))
        need_measured_targets(effects, self.name, at_least=3)
        self.rank = rank
        self.penalty = penalty
        self._genes = effects.directions[:, :rank]
        self._fits: dict[tuple[Media, float], _Map] = {}

    def changes(self, question: Question) -> Float[np.ndarray, "perturbation gene"]:
        """The sum over edits of the map at their targets."""
        fit = self._fit(question.media, question.hours)
        edits = [edit for made in question.made for edit in made]
        owner = np.repeat(np.arange(len(question.made)), [len(made) for made in question.made])
        embedded, measured = self._embed(edits)
        single = fit.mean + ((embedded - fit.centre) * measured[:, None]) @ fit.weight @ self._genes.T
        predicted = np.zeros((len(question.made), len(self.genes)))
        np.add.at(predicted, owner, single)
        unseen = unseen_edits(self.effects, question)
        return self.effects.target_loss.set_targets(predicted, unseen, question.hours, question.control)

    def _fit(self, media: Media, hours: float) -> _Map:
        key = (media, hours)
        if key not in self._fits:
            made, change = self.effects.single_table(media, hours)
            embedded, measured = self._embed(made)
            keep = ~self.effects.target_mask([(edit,) for edit in made])
            mean = masked_mean(change, keep)
            # A target's own change is no response of the network: it is put at the mean.
            response = np.where(keep, change - mean, 0.0)[measured]
            centre = embedded[measured].mean(axis=0) if measured.any() else np.zeros(self._genes.shape[1])
            design = embedded[measured] - centre
            gram = design.T @ design
            ridge = self.penalty * max(np.trace(gram) / max(len(gram), 1), 1e-12)
            weight = np.linalg.pinv(gram + ridge * np.eye(len(gram)), hermitian=True) @ design.T @ response
            self._fits[key] = _Map(mean, centre, weight @ self._genes)
        return self._fits[key]

    def _embed(self, edits: Sequence[Edit]) -> tuple[np.ndarray, np.ndarray]:
        embedded = np.zeros((len(edits), self._genes.shape[1]))
        measured = np.array([e.gene in self.effects.gene_index for e in edits], dtype=bool)
        for row, edit in enumerate(edits):
            if measured[row]:
                embedded[row] = _strength(edit) * self._genes[self.effects.gene_index[edit.gene]]
        return embedded, measured


class _Map(NamedTuple):
    mean: np.ndarray
    centre: np.ndarray
    weight: np.ndarray


def fit_ridge(effects: Effects) -> RidgeOnEdits:
    """Ridge regression with the penalty from the noise, and the borrowed share by leaving out training edits.

    Where standard errors do not tell the noise, the penalty too is chosen by leaving out edits.
    """
    need_edits(effects, "ridge")
    ratio = noise_to_signal(effects)
    penalties = (10.0, 1.0, 0.1) if ratio is None else (ratio,)
    candidates = tuple((penalty, borrowed) for penalty in penalties for borrowed in (0.0, 0.3, 0.6, 0.9))
    penalty, borrowed = choose_by_left_out_edits(
        effects, candidates, lambda part, setting: RidgeOnEdits(part, penalty=setting[0], borrowed=setting[1])
    )
    return RidgeOnEdits(effects, penalty=penalty, borrowed=borrowed)


def noise_to_signal(effects: Effects) -> float | None:
    """Noise variance of a single edit's effect over its true variance between edits; ``None`` if it is not known.

    By moments, over genes that are not targets: the mean squared deviation from the mean effect is the sum of both, the
    mean squared standard error is the noise. At most 100, where hardly any of the variance is signal.
    """
    total = noise = 0.0
    for row, condition in enumerate(effects.conditions):
        if len(condition.edits) == 1:
            mean = effects.mean_effect(condition.edits, condition.media, effects.hours[row])
            others = ~effects.target_mask([condition.edits])[0]
            total += float(((effects.change[row] - mean)[others] ** 2).sum())
            noise += float((effects.dataset.standard_error[effects.rows[row]][others] ** 2).sum())
    if not total > 0 or not np.isfinite(noise):
        return None
    return float(np.clip(noise / max(total - noise, 1e-12), 1e-6, 100.0))


def fit_low_rank(effects: Effects) -> LowRank:
    """Low-rank linear map with rank and penalty chosen by leaving out training edits."""
    need_measured_targets(effects, "low-rank linear", at_least=4)
    largest = min(len(effects.singles), len(effects.dataset.genes))
    ranks = sorted({min(rank, largest) for rank in (2, 5, 10)})
    candidates = tuple((rank, penalty) for rank in ranks for penalty in (30.0, 3.0, 0.3, 0.03, 1e-6))
    rank, penalty = choose_by_left_out_edits(
        effects, candidates, lambda part, setting: LowRank(part, rank=setting[0], penalty=setting[1])
    )
    return LowRank(effects, rank=rank, penalty=penalty)


def unseen_edits(effects: Effects, question: Question) -> list[list[Edit]]:
    """The edits of each perturbation whose gene was never edited in training."""
    return [[edit for edit in made if edit.gene not in effects.edited_genes] for made in question.made]


def _strength(edit: Edit) -> float:
    return -edit.efficacy if edit.kind == "crispra" else edit.efficacy


def _total(made: Sequence[Edits]) -> Float[np.ndarray, " perturbation"]:
    """Efficacies of the edits of each perturbation, summed."""
    return np.array([sum(edit.efficacy for edit in edits) for edits in made], dtype=float)


def _design(made: Sequence[Edits], place: dict[Edit, int]) -> Float[np.ndarray, "perturbation edit"]:
    design = np.zeros((len(made), len(place)))
    for row, edits in enumerate(made):
        for edit in edits:
            design[row, place[edit]] = _strength(edit)
    return design
