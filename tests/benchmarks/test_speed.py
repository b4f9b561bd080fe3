"""The two hottest paths, as ratios with generous bounds: a step of training, and products by edge."""

from __future__ import annotations

import numpy as np
import pandas as pd
from benchmarks.speed import in_turn, timed
from benchmarks.speed_page import exponents, summary
from benchmarks.speed_problems import error, evaluations, problem, products_alone, states, step

from semimech.model import AdaptiveSolver, ExponentialSolver


def test_a_step_costs_few_times_its_matrix_products():
    each, solver = problem(256, 32), ExponentialSolver(24.0, 2)
    products = products_alone(each, evaluations(each, solver))
    found = in_turn({"step": timed(step(each, solver)), "products": timed(products)}, turns=9)
    assert (found["step"] / found["products"]).min() < 8.0  # 1.5 on a quiet machine


def test_a_step_by_edge_is_faster_than_with_the_full_matrix_and_the_same():
    solver, sizes = ExponentialSolver(24.0, 2), {"n_edges": 20, "has_residual": False}
    by_edge, full = (problem(1500, 64, (24.0,), by_edge=by_edge, **sizes) for by_edge in (True, False))
    found = in_turn({"by edge": timed(step(by_edge, solver)), "full": timed(step(full, solver))}, turns=5)
    assert (found["full"] / found["by edge"]).max() > 1.5  # 5 on a quiet machine
    assert error(states(by_edge, solver), states(full, solver)) < 1e-4
    losses = [float(step(each, solver)()[0]) for each in (by_edge, full)]
    assert np.isclose(*losses, rtol=1e-5)


def test_errors_are_relative_to_how_far_states_move():
    each = problem(20, 8, (24.0,), has_residual=False)
    exact = states(each, AdaptiveSolver(rtol=1e-7, atol=1e-9))
    assert error(exact, exact) == 0.0
    assert error(np.ones_like(exact), exact) == 1.0
    assert error(states(each, ExponentialSolver(3.0, 4)), exact) < 1e-3


def test_a_ratio_is_the_median_of_turns_and_a_growth_its_exponent():
    seconds = pd.DataFrame({"ours": [1.0, 2.0, 4.0], "theirs": [3.0, 2.0, 8.0]})
    table = summary(seconds, "ours", {"ours": 0.1}).set_index("method")
    assert table.loc["theirs", "ratio"] == 2.0
    assert table.loc["ours", "ratio"] == 1.0
    sizes = np.array([1, 2, 4, 8])
    curves = pd.DataFrame({"what": "cells", "size": sizes, "seconds": 0.1 * sizes**1.5})
    assert np.isclose(exponents(curves)["cells"], 1.5)
