"""Laws that never come to rest are told from those that do."""

from __future__ import annotations

from dataclasses import replace

import jax.numpy as jnp
import numpy as np
from small_data import condition, dataset
from small_laws import ROSTER, ensemble, mechanistic, regulation

from semimech.fit.problem import make_problem
from semimech.fit.rest import restless, restless_notes
from semimech.model import ExponentialSolver

NAMES = ("control", "A", "B")
SOLVER = ExponentialSolver(3.0)


def problem(hours: float = np.inf):
    data = dataset([condition(name, hours, kind="crispri 0.5") for name in NAMES], np.ones((3, 4)))
    return make_problem(replace(data, genes=ROSTER.genes), ROSTER, None, seed=0)


def oscillating():
    """A repressor of itself through two steps, each steep: Goodwin's loop, which has no stable rest state."""
    weight = np.zeros((4, 5))
    weight[1, 0], weight[2, 1], weight[0, 2] = 6.0, 6.0, -6.0
    quiet = {"bias": np.zeros(4), "edit_effect": np.zeros(4), "medium_effect": np.zeros((4, 2))}
    law = mechanistic()
    made = regulation(weight=weight, log_headroom=np.full(4, np.log(5.0)), **quiet)
    return replace(law, regulation=made, log_degradation=jnp.full(4, jnp.log(0.1)))


def test_a_weakly_coupled_law_rests_and_a_loop_of_steep_repression_does_not():
    still, moving = mechanistic(strength=0.1), oscillating()
    assert not restless(ensemble(still), problem(), SOLVER).any()
    found = restless(ensemble(still, moving), problem(), SOLVER)
    assert found[:3].tolist() == [False, True, True]  # unedited cells start where even this law rests; padding is still
    assert not found[len(NAMES) :].any()
    (note,) = restless_notes(found)
    assert note.startswith(f"The law does not come to rest in {found.sum()} of the settled")
    assert restless_notes(np.zeros(3, dtype=bool)) == ()


def test_what_was_not_harvested_settled_may_move():
    assert not restless(ensemble(oscillating()), problem(hours=24.0), SOLVER).any()
