"""Linear effects of edits against exact data, explicit refits and what cannot be told."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from semimech.experiment import Condition, parse_experiment
from semimech.fit.compose import Seen
from semimech.fit.linear import LinearEffects, ridge

RNG = np.random.default_rng(0)
GENES = tuple(f"G{i}" for i in range(6))
EFFECT = {name: RNG.normal(size=len(GENES)) for name in "ABCD"}


def asked(text: str) -> Condition:
    return parse_experiment(f"{text} > harvest").conditions["harvest"]


def drugs(*doses: tuple[str, float], hours: int = 24) -> str:
    return " > ".join([*(f"edit {name} drug {dose}" for name, dose in doses), f"wait {hours}h"])


def linear(*texts: str, change: np.ndarray | None = None) -> LinearEffects:
    conditions = tuple(map(asked, texts))
    exact = [sum(e.efficacy * EFFECT.get(e.gene, np.zeros(len(GENES))) for e in c.edits) for c in conditions]
    return LinearEffects(
        Seen(conditions=conditions, residual=np.array(exact) if change is None else change, pool=None), GENES
    )


ALL = [drugs((a, 0.9), (b, 0.5)) for a, b in combinations("ABCD", 2)]


def test_effects_that_add_up_are_found_from_pairs_and_hold_in_other_doses_and_pairs():
    known = linear(*ALL, drugs(("A", 0.3)))
    for query in (drugs(("D", 0.7)), drugs(("A", 0.2), ("B", 0.8)), drugs(("A", 0.4), ("C", 0.6), ("D", 1.0))):
        expected = sum(e.efficacy * EFFECT[e.gene] for e in asked(query).edits)
        np.testing.assert_allclose(known.change(asked(query)), expected, atol=0.03)


def test_the_penalty_and_the_effects_are_those_of_explicit_refits_without_each_condition():
    strength, change = RNG.random((9, 3)) * (RNG.random((9, 3)) < 0.7), RNG.normal(size=(9, 4))
    strength[0] = [1.0, 0.0, 0.0]

    def refit(rows: np.ndarray, penalty: float) -> np.ndarray:
        """Least squares with rows that pull each effect towards the common one, the last unknown."""
        pull = np.sqrt(penalty) * np.hstack([np.eye(3), -np.ones((3, 1))])
        design = np.vstack([np.hstack([strength[rows], np.zeros((len(rows), 1))]), pull])
        return np.linalg.lstsq(design, np.vstack([change[rows], np.zeros((3, 4))]), rcond=None)[0]

    def left_out(penalty: float) -> float:
        rows = np.arange(9)
        return sum(((change[r] - strength[r] @ refit(np.delete(rows, r), penalty)[:3]) ** 2).sum() for r in rows)

    best = min((0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0), key=left_out)
    common, effects = ridge(strength, change)
    expected = refit(np.arange(9), best)
    np.testing.assert_allclose(effects, expected[:3], atol=1e-8)
    np.testing.assert_allclose(common, expected[3], atol=1e-8)


def test_an_unseen_edit_has_the_common_effect_and_what_carries_it_says_nothing():
    known = linear(*ALL, drugs(("A", 0.3)))
    query = asked(drugs(("A", 1.0), ("D", 1.0)))
    found = known.change(query, unseen={"D"})
    without = linear(*(text for text in (*ALL, drugs(("A", 0.3))) if "edit D" not in text))
    np.testing.assert_allclose(found, without.change(query, unseen={"D"}))
    alone = without.change(asked(drugs(("D", 1.0))), unseen={"D"})
    np.testing.assert_allclose(found, without.change(asked(drugs(("A", 1.0)))) + alone)
    np.testing.assert_allclose(alone, np.mean([EFFECT[name] for name in "ABC"], axis=0), atol=0.3)


@pytest.mark.parametrize(
    "query",
    [
        drugs(("A", 0.9), ("B", 0.9), hours=48),
        drugs(("A", 0.9), ("E", 0.9)),
        "edit A drug 0.9 > wait 12h > edit B drug 0.9 > wait 12h",
        "medium M > edit A drug 0.9 > edit B drug 0.9 > wait 24h",
        "wait 24h",
    ],
    ids=["another time", "an edit not made", "one after the other", "another medium", "no edit"],
)
def test_what_was_not_made_at_this_time_in_these_media_at_once_cannot_be_told(query):
    assert linear(*ALL).change(asked(query)) is None


def test_edits_that_were_made_once_each_do_not_tell_how_far_they_hold_elsewhere():
    assert linear(*(drugs((name, 0.9)) for name in "ABC")).change(asked(drugs(("A", 0.9), ("B", 0.9)))) is None


def test_the_edited_gene_itself_does_not_enter_what_edits_have_in_common():
    texts = [text.replace("edit A", "edit G0") for text in ALL]
    change = RNG.normal(size=(len(texts), len(GENES)))
    other = change.copy()
    other[["G0" in text for text in texts], 0] += 50.0
    query = asked(drugs(("B", 1.0), ("C", 1.0)))
    np.testing.assert_allclose(linear(*texts, change=change).change(query), linear(*texts, change=other).change(query))


def test_a_row_that_alone_tells_the_common_effect_does_not_pass_for_the_effects():
    """CRISPRa balances CRISPRi in two rows; without the third nothing is known of what edits have in common."""
    strength = np.array([[0.5, -0.5, 0.0], [1.0, -1.0, 0.0], [0.0, 0.0, 1.0]])
    change = np.array([[1.0], [2.0], [5.0]])
    common, effects = ridge(strength, change)
    assert np.isfinite(common).all() and np.isfinite(effects).all()
    np.testing.assert_allclose((strength @ effects)[:2], change[:2], rtol=0.05)
