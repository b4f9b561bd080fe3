"""What edits teach of each other where genes act alike: departures of edits from their mean go together as kriging has it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from semimech.design.lessons import Lessons
from semimech.experiment import Condition
from semimech.fit import FittedModel
from semimech.model import Kinship, likeness


def kin_lessons(model: FittedModel, conditions: Sequence[Condition], *, kinship: Kinship) -> Lessons | None:
    """What conditions teach through edits that act alike, by the sources that the fit found to help; ``None`` if there are none.

    Edits of one condition add up, so that two conditions are alike as the sum over all pairs of their genes.

    Parameters
    ----------
    model
        Gives what was measured, and how much each source helps.
    conditions
        What could be done, and what is asked.
    kinship
        Who acts like whom.
    """
    strength = dict(zip(model.record.likeness["source"], model.record.likeness["strength"], strict=True))
    donors = dict.fromkeys(frozenset(e.gene for e in c.edits) for c in model.training if not c.is_control)
    sets = [*(frozenset(e.gene for e in c.edits) for c in conditions), *donors]
    genes = sorted(frozenset().union(*sets))
    profiles = {name: p for name, p in kinship.profiles(genes).items() if strength.get(name, 0.0) > 0}
    trust = float(model.fit.trust[4])
    if not profiles or not trust > 0:
        return None
    place = np.arange(len(genes))
    alike = sum(strength[name] * likeness(profile, place, place) for name, profile in profiles.items())
    carries = np.array([[gene in each for gene in genes] for each in sets], float)
    kernel = trust * carries @ (alike + 1e-9 * np.eye(len(genes))) @ carries.T
    asked, known = np.split(np.arange(len(sets)), [len(conditions)])
    inner = kernel[np.ix_(known, known)] + np.eye(len(known))
    cross = kernel[np.ix_(asked, known)]
    left = kernel[np.ix_(asked, asked)] - cross @ np.linalg.solve(inner, cross.T)
    value, vector = np.linalg.eigh(left)
    keep = value > 1e-6 * max(value.max(initial=0.0), 1e-12)
    change = np.asarray(model.fit.change, np.float64)[[not c.is_control for c in model.training]]
    spread = float(((change - change.mean(axis=0)) ** 2).mean()) / (1.0 + float(np.mean(np.diagonal(kernel))))
    return Lessons(feature=(vector[:, keep] * np.sqrt(value[keep]))[None], noise=np.ones(1), weight=np.array([spread]))
