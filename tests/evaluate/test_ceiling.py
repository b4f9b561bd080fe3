from __future__ import annotations

import numpy as np
import pytest

from semimech.evaluate.ceiling import ceiling_rank, ceiling_scores
from semimech.evaluate.metrics import METRICS, Scene, rank_score

N_CONDITIONS, N_GENES, NOISE = 40, 2000, 0.6
RNG = np.random.default_rng(0)
TRUTH = RNG.normal(size=(N_CONDITIONS, N_GENES))
HALVES = TRUTH + NOISE * np.sqrt(2) * RNG.normal(size=(2, N_CONDITIONS, N_GENES))
SHAPE = (N_CONDITIONS, N_GENES)


def scene(error=NOISE):
    return Scene(
        predicted=TRUTH,
        measured=HALVES.mean(axis=0),
        standard_error=np.full(SHAPE, error),
        control=np.zeros(SHAPE),
        control_error=np.zeros(SHAPE),
        perturbed=np.zeros(SHAPE),
        keep=np.ones(SHAPE, dtype=bool),
    )


@pytest.mark.parametrize("halves", [HALVES, None])
def test_the_ceiling_is_what_the_noise_free_truth_scores(halves):
    ceiling = ceiling_scores(scene(), halves)
    for metric in METRICS:
        # Which genes count as changed is decided by the same noise, so their direction is right a little too often.
        tolerance = 0.03 if metric.name != "direction" else 0.05
        assert ceiling[metric.name].mean() == pytest.approx(metric.score(scene()).mean(), rel=tolerance), metric.name


def test_the_ceiling_of_the_correlation_is_the_root_of_the_reliability():
    reliability = 1.0 / (1.0 + NOISE**2)
    assert ceiling_scores(scene(), HALVES)["pearson_control"].mean() == pytest.approx(np.sqrt(reliability), rel=0.01)


def test_pure_noise_has_a_low_ceiling_and_never_a_negative_one():
    noise = RNG.normal(size=(2, N_CONDITIONS, N_GENES))
    ceiling = ceiling_scores(scene(), noise)["pearson_control"]
    assert (ceiling >= 0).all()
    assert ceiling.mean() < 0.25


def test_conditions_without_halves_fall_back_on_their_standard_errors():
    halves = HALVES.copy()
    halves[:, 3] = np.nan
    ceiling = ceiling_scores(scene(), halves)["mse"]
    assert ceiling[3] == pytest.approx(NOISE**2)
    assert ceiling[2] != pytest.approx(NOISE**2, rel=1e-6)


def test_without_halves_or_standard_errors_the_ceiling_is_not_known():
    for values in ceiling_scores(scene(error=np.nan), None).values():
        assert np.isnan(values).all()


def test_the_rank_of_a_half_is_at_most_that_of_the_truth():
    near = 0.05 * TRUTH[:, :50]
    halves = near + HALVES[:, :, :50] - TRUTH[:, :50]
    keep = np.ones(near.shape, dtype=bool)
    own = list(range(N_CONDITIONS))
    ceiling = ceiling_rank(halves, own, keep, keep).mean()
    assert 0.4 < ceiling <= rank_score(near, halves.mean(axis=0), own, keep, keep).mean() + 0.02
    assert np.isnan(ceiling_rank(None, own, keep, keep)).all()
