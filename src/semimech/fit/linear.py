r"""Linear effects: what edits did wherever they were made, alone, in other doses or together, by ridge regression on their strengths.

With :math:`s_{ce}` the strength of edit :math:`e` in condition :math:`c` and :math:`y_c` the change against matched controls,

.. math:: y_c = \sum_e s_{ce} (m + b_e) + \varepsilon_c, \qquad \min_{m, b} \sum_c \lVert \varepsilon_c \rVert^2 + \alpha \sum_e \lVert b_e \rVert^2,

so that what all edits have in common, :math:`m`, is free, and each departs from it as far as the data say. The penalty has the least squared
error of conditions left out one by one, in closed form (Allen 1974, Technometrics 16:125). A fit is made for each time and media.
"""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from typing import TypeAlias

import numpy as np
from jaxtyping import Float

from semimech.experiment import Condition, Context, Edit
from semimech.fit.compose import Seen, merged, name_of

_PENALTIES = (0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0)
_MOST = 1000
_SOLE = 1e-9  # share of its own that a row has at least in what it leaves out: one that alone tells a common effect has none
_MARK = Edit(gene="ANY", kind="knockout")
Name: TypeAlias = tuple[str, str]


@dataclass(frozen=True, kw_only=True, eq=False)
class _Effects:
    """Effects of edits at one time in some media, per unit of strength, and of an edit of which nothing is known."""

    own: dict[Name, Float[np.ndarray, " gene"]]
    common: Float[np.ndarray, " gene"]


@dataclass(frozen=True, eq=False)
class LinearEffects:
    """What edits did in all conditions that carried them.

    Parameters
    ----------
    seen
        Harvested conditions; for residuals, their changes against matched controls.
    genes
        Measured genes.
    """

    seen: Seen
    genes: tuple[str, ...]
    _fits: dict[tuple[Condition, frozenset[str]], _Effects | None] = field(default_factory=dict, init=False, repr=False)

    def change(
        self, condition: Condition, *, unseen: AbstractSet[str] = frozenset()
    ) -> Float[np.ndarray, " gene"] | None:
        """Change of a condition against matched controls.

        Where nothing can be told it is ``None``: edits of the condition came into force one after the other; one that is not of an unseen gene was
        not made at this time in these media; or each edit was made once, so that nothing says how far it holds elsewhere.

        Parameters
        ----------
        condition
            What is asked.
        unseen
            Genes of which nothing is to be known: their edits have the common effect, and conditions that carry them are left out.
        """
        template, edits = self._template(condition), condition.edits
        if template is None or not edits:
            return None
        key = (template, frozenset(unseen))
        if key not in self._fits:
            self._fits[key] = self._fit(*key)
        effects = self._fits[key]
        if effects is None or any(edit.gene not in unseen and name_of(edit) not in effects.own for edit in edits):
            return None
        each = [effects.common if e.gene in unseen else effects.own[name_of(e)] for e in edits]
        return np.array([_strength(edit) for edit in edits]) @ np.array(each)

    def _template(self, condition: Condition) -> Condition | None:
        """Times and media of a condition whose edits are all made at once; ``None`` of others."""
        asked = self.seen.reduced(condition)
        made = {period.context.edits for period in asked.history if period.context.edits}
        return None if len(made) != 1 or condition.washed_out else merged(asked, _marked)

    def _fit(self, template: Condition, unseen: frozenset[str]) -> _Effects | None:
        rows = [
            row
            for row, condition in enumerate(self.seen.conditions)
            if self._template(condition) == template and unseen.isdisjoint(e.gene for e in condition.edits)
        ]
        made = [self.seen.conditions[row].edits for row in rows]
        names = list(dict.fromkeys(name_of(edit) for edits in made for edit in edits))
        strength = np.zeros((len(rows), len(names)))
        own = np.zeros((len(rows), len(self.genes)), dtype=bool)
        column = {gene: i for i, gene in enumerate(self.genes)}
        for row, edits in enumerate(made):
            for edit in edits:
                strength[row, names.index(name_of(edit))] += _strength(edit)
                if edit.gene in column:
                    own[row, column[edit.gene]] = True
        if len(rows) > _MOST or not (np.count_nonzero(strength, axis=0) > 1).any():
            return None
        change = self.seen.residual[rows]
        others = (change * ~own).sum(axis=0) / np.maximum((~own).sum(axis=0), 1)
        common, effects = ridge(strength, np.where(own, others, change))
        return _Effects(own=dict(zip(names, effects, strict=True)), common=common)


def ridge(
    strength: Float[np.ndarray, "row edit"], change: Float[np.ndarray, "row gene"]
) -> tuple[Float[np.ndarray, " gene"], Float[np.ndarray, "edit gene"]]:
    """The common effect of a unit of strength, and each edit's own, at the penalty of least left-out error; the least of penalties that tie."""
    total, kernel = strength.sum(axis=1, keepdims=True), strength @ strength.T
    best, least = (change[0], change), np.inf
    for penalty in _PENALTIES:
        inverse = np.linalg.inv(kernel + penalty * np.eye(len(kernel)))
        weighted = inverse @ total
        scale = max((total.T @ weighted).item(), 1e-12)
        common = weighted.T @ change / scale
        dual = inverse @ (change - total * common)
        own = np.diagonal(inverse)[:, None]
        left_out = dual / np.maximum(own - weighted**2 / scale, _SOLE * own)
        error = float((left_out**2).sum())
        if error < least * (1.0 - 1e-6):
            best, least = (common[0], common + strength.T @ dual), error
    return best


def _marked(context: Context) -> Context:
    return replace(context, edits=(_MARK,) if context.edits else (), doses=())


def _strength(edit: Edit) -> float:
    return -edit.efficacy if edit.kind == "crispra" else edit.efficacy
