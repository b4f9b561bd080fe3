from __future__ import annotations

import jax
import numpy as np
import pytest

from semimech.model.settle import _iterate


def steps_to_rest(response, start, *, near=1e-2):
    """Where halved steps towards ``response`` end, and how many evaluations that takes."""
    evaluations = []

    def step(z):
        jax.debug.callback(lambda: evaluations.append(1))
        return 0.5 * z + 0.5 * response(z)

    found = jax.jit(lambda z: _iterate(step, z, 400, near=near))(start)
    jax.effects_barrier()
    return np.asarray(found), len(evaluations)


def halved_steps_alone(response, start):
    """The same without whole steps, written out."""
    z, count = np.asarray(start, np.float32), 0
    while True:
        new = 0.5 * z + 0.5 * np.asarray(response(z), np.float32)
        moved, z, count = np.abs(new - z).max(), new, count + 1
        if moved <= 20 * np.finfo(np.float32).eps * np.abs(z).max() or count == 400:
            return z, count


@pytest.mark.parametrize("feedback", [(0.6,), (0.3, -0.2), (-0.9, 0.5), (-1.5, 0.4), (-2.5,), (0.9, 0.1), (0.0,)])
def test_linear_laws_come_to_rest_where_algebra_says_and_no_later_than_by_halved_steps(feedback):
    """A gene whose production follows itself with slope r rests at c / (1 - r)."""
    slope, constant = np.array(feedback, np.float32), np.linspace(1.0, 2.0, len(feedback)).astype(np.float32)
    response = lambda z: slope * z + constant
    found, count = steps_to_rest(response, np.ones_like(slope))
    np.testing.assert_allclose(found, constant / (1.0 - slope), rtol=1e-4)
    assert count <= halved_steps_alone(response, np.ones_like(slope))[1] + 4


@pytest.mark.parametrize("slope", [0.2, 0.4, 0.6])
def test_whole_steps_save_a_third_of_the_evaluations_where_feedback_is_mild(slope):
    response = lambda z: slope * z + np.float32(1.0)
    count = steps_to_rest(response, np.full(3, 4.0, np.float32))[1]
    assert count < 0.67 * halved_steps_alone(response, np.full(3, 4.0, np.float32))[1]


@pytest.mark.parametrize("start", [0.1, 0.97, 1.03, 3.0])
def test_a_switch_rests_in_the_basin_that_it_stands_in(start):
    """Production 2 z^4 / (1 + z^4) meets decay at 0, and where z^4 - 2 z^3 + 1 = 0: at 1, which parts the basins, and near 1.84."""
    found = steps_to_rest(lambda z: 2.0 * z**4 / (1.0 + z**4), np.array([start], np.float32))[0]
    roots = np.roots([1, -2, 0, 0, 1])
    high = roots[np.abs(roots.imag) < 1e-9].real.max()
    np.testing.assert_allclose(found, 0.0 if start < 1.0 else high, atol=1e-4)
