"""Tests are at their level, bounds cover, and power is what is announced, on cells whose law is known."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binom, f

from semimech.assumptions.diagnostics.evidence import LEVEL, weigh
from semimech.assumptions.diagnostics.groups import draw

N_GENES, N_GROUPS, N_CELLS, SEEDS = 30, 4, 25, 150
INTERACTION = np.array([[1.0, -1.0, -1.0, 1.0]])
PAIRS = np.array([[1.0, -1.0, 0.0, 0.0], [1.0, 0.0, -1.0, 0.0], [0.0, 0.0, 1.0, -1.0]])
MOST = int(binom.isf(0.001, SEEDS, LEVEL))
"""More alarms than this have a chance of one in a thousand."""


def cells(seed: int, means: np.ndarray, *, skewed: bool = True) -> tuple[np.ndarray, np.ndarray]:
    """Cells whose genes share a factor, skewed as counts are, and their groups."""
    rng = np.random.default_rng(seed)
    group = np.repeat(np.arange(N_GROUPS), N_CELLS)
    noise = rng.gamma(1.0, 1.0, (len(group), N_GENES)) - 1.0 if skewed else rng.normal(size=(len(group), N_GENES))
    factor = rng.normal(size=(len(group), 1)) * np.linspace(0.2, 0.8, N_GENES)
    return means[group] + noise + factor, group


def evidence(seed: int, means: np.ndarray, contrasts: np.ndarray, margin: float = 0.3, **kind):
    values, group = cells(seed, means, **kind)
    return weigh(draw(values, group, contrasts, np.random.default_rng(seed)), margin)


def additive(seed: int, interaction: float = 0.0) -> np.ndarray:
    """Means of both, A, B and none, with large effects that add up but for an interaction in a third of the genes."""
    rng = np.random.default_rng(10_000 + seed)
    a, b = rng.normal(size=(2, N_GENES))
    beyond = interaction * np.sqrt(3.0) * (np.arange(N_GENES) % 3 == 0)
    return np.stack([a + b + beyond, a, b, np.zeros(N_GENES)])


@pytest.mark.parametrize("skewed", [False, True])
@pytest.mark.parametrize(("contrasts", "is_null"), [(INTERACTION, additive), (PAIRS, None)])
def test_what_is_not_there_is_seen_as_seldom_as_the_level_says(contrasts, is_null, skewed):
    p = []
    for seed in range(SEEDS):
        means = np.zeros((N_GROUPS, N_GENES)) if is_null is None else is_null(seed)
        p.append(evidence(seed, means, contrasts, skewed=skewed).p_value)
    assert (np.array(p) <= LEVEL).sum() <= MOST
    assert 0.3 <= (np.array(p) <= 0.5).mean() <= 0.7


def test_the_bound_covers_the_true_departure_and_the_size_is_near_it():
    """The interaction has root mean square 0.4, in units where cells have a known standard deviation."""
    sigma = np.sqrt(1.0 + np.linspace(0.2, 0.8, N_GENES) ** 2)
    truth = np.sqrt(np.mean((0.4 * np.sqrt(3.0) * (np.arange(N_GENES) % 3 == 0) / sigma) ** 2))
    found = [evidence(seed, additive(seed, 0.4), INTERACTION) for seed in range(SEEDS)]
    missed = sum(each.upper < truth for each in found)
    assert missed <= int(binom.isf(0.001, SEEDS, LEVEL))
    assert np.sqrt(np.mean([each.size**2 for each in found])) == pytest.approx(truth, rel=0.15)


def test_power_is_the_share_of_data_sets_in_which_the_departure_is_seen():
    sigma = np.sqrt(1.0 + np.linspace(0.2, 0.8, N_GENES) ** 2)
    truth = float(np.sqrt(np.mean((0.5 * np.sqrt(3.0) * (np.arange(N_GENES) % 3 == 0) / sigma) ** 2)))
    found = [evidence(seed, additive(seed, 0.5), INTERACTION, margin=truth) for seed in range(SEEDS)]
    announced = np.mean([each.power for each in found])
    assert np.mean([each.p_value <= LEVEL for each in found]) == pytest.approx(announced, abs=0.15)


def test_a_departure_in_one_of_many_comparisons_is_found_and_named():
    means = np.zeros((N_GROUPS, N_GENES))
    means[1] = 1.5 * (-1.0) ** np.arange(N_GENES)
    found = [evidence(seed, means, PAIRS) for seed in range(20)]
    assert all(each.p_values[0] <= LEVEL and each.is_departure(0.3) for each in found)
    assert not any(each.is_departure(5.0) for each in found)
    assert sum(each.p_values[2] <= LEVEL for each in found) <= 4  # 5 or more of 20 have a chance of 0.3 %


def test_noise_of_a_contrast_has_the_variance_of_its_means():
    """Without differences between groups the expected square is the sum of squared weights over cells, times the mean of F with 96 degrees of freedom."""
    values, group = cells(3, np.zeros((N_GROUPS, N_GENES)), skewed=False)
    drawn = draw(values, group, INTERACTION, np.random.default_rng(0))
    assert drawn.expected[0] == pytest.approx(4.0 / N_CELLS * f.mean(30, N_GROUPS * (N_CELLS - 1)), rel=0.01)
    assert drawn.noise.mean() == pytest.approx(drawn.expected[0], rel=0.05)
