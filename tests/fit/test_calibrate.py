from __future__ import annotations

import numpy as np
import pytest

from semimech.fit.calibrate import Calibration, calibrate

N_CONDITIONS, N_GENES = 60, 40


def draw(rng: np.random.Generator, *, spread: np.ndarray | float = 0.2, slope: float = 0.0, own: float | None = None):
    """Residuals of conditions with one edited gene each, and changes of which few are large."""
    change = rng.normal(size=(N_CONDITIONS, N_GENES)) * (rng.random((N_CONDITIONS, N_GENES)) < 0.1)
    is_own = np.arange(N_GENES) == rng.integers(N_GENES, size=(N_CONDITIONS, 1))
    sd = np.sqrt(np.square(np.broadcast_to(spread, change.shape)) + (slope * change) ** 2)
    sd = np.where(is_own, own, sd) if own is not None else sd
    return sd * rng.normal(size=change.shape), change, is_own


def covered(calibration: Calibration, residual: np.ndarray, change: np.ndarray, is_own: np.ndarray) -> np.ndarray:
    return np.abs(residual) <= calibration.half_width(change, is_own)


@pytest.mark.parametrize("level", [0.5, 0.9])
def test_intervals_cover_fresh_residuals_as_often_as_asked(level):
    rng = np.random.default_rng(0)
    calibration = calibrate(*draw(rng), level=level)
    assert covered(calibration, *draw(rng)).mean() == pytest.approx(level, abs=0.03)


@pytest.mark.parametrize("n_conditions", [3, 8, 24])
def test_intervals_from_few_conditions_cover_a_new_one_as_often_as_asked(n_conditions):
    # Genes of one condition err together: a common factor, log-normal between conditions, makes some conditions bad as a whole.
    coverage, nowhere = [], np.zeros((n_conditions + 20, N_GENES), dtype=bool)
    for seed in range(100):
        rng = np.random.default_rng(seed)
        spread = np.exp(0.7 * rng.normal(size=N_GENES)) * np.exp(0.4 * rng.normal(size=(n_conditions + 20, 1)))
        residual, change = spread * rng.normal(size=nowhere.shape), np.zeros(nowhere.shape)
        known, new = slice(n_conditions), slice(n_conditions, None)
        calibration = calibrate(residual[known], change[known], nowhere[known])
        coverage.append(covered(calibration, residual[new], change[new], nowhere[new]).mean())
    assert np.mean(coverage) == pytest.approx(0.9, abs=0.02)


def test_the_half_width_of_normal_residuals_is_their_quantile():
    residual, change, is_own = draw(np.random.default_rng(1), spread=0.2)
    width = calibrate(residual, change, is_own).half_width(np.zeros((1, N_GENES)), np.zeros((1, N_GENES), bool))
    assert width.mean() == pytest.approx(1.645 * 0.2, rel=0.07)


def test_genes_with_larger_residuals_get_wider_intervals():
    rng, spread = np.random.default_rng(2), np.geomspace(0.05, 0.8, N_GENES)
    calibration = calibrate(*draw(rng, spread=spread))
    coverage = covered(calibration, *draw(rng, spread=spread)).mean(axis=0)
    assert np.corrcoef(np.log(calibration.gene), np.log(spread))[0, 1] > 0.95
    assert coverage[spread > 0.2].mean() == pytest.approx(0.9, abs=0.05)


def test_residuals_that_grow_with_the_change_give_their_slope_and_cover_large_changes():
    rng = np.random.default_rng(3)
    calibration = calibrate(*draw(rng, slope=0.6))
    assert calibration.slope == pytest.approx(0.6, rel=0.15)
    residual, change, is_own = draw(rng, slope=0.6)
    is_large = np.abs(change) > 0.5
    assert covered(calibration, residual, change, is_own)[is_large].mean() == pytest.approx(0.9, abs=0.07)


def test_residuals_that_do_not_grow_with_the_change_give_no_slope():
    assert calibrate(*draw(np.random.default_rng(4))).slope < 0.1


def test_the_edited_gene_has_a_width_of_its_own_that_is_never_smaller():
    rng = np.random.default_rng(5)
    calibration = calibrate(*draw(rng, own=1.0))
    residual, change, is_own = draw(rng, own=1.0)
    assert calibration.own == pytest.approx(1.0, rel=0.2)
    assert covered(calibration, residual, change, is_own)[is_own].mean() > 0.8
    nowhere = np.zeros_like(is_own)
    tight = calibrate(*draw(rng, own=0.001))
    assert (tight.half_width(change, is_own) >= tight.half_width(change, nowhere)).all()


def test_rows_that_were_not_held_out_do_not_count():
    residual, change, is_own = draw(np.random.default_rng(6))
    gaps = np.full((3, N_GENES), np.nan)
    with_gaps = calibrate(
        np.concatenate([gaps, residual]),
        np.concatenate([gaps, change]),
        np.concatenate([np.zeros((3, N_GENES), bool), is_own]),
    )
    for name, value in vars(calibrate(residual, change, is_own)).items():
        np.testing.assert_array_equal(getattr(with_gaps, name), value)


def test_few_residuals_of_a_gene_are_shrunk_to_those_of_all():
    residual = np.full((2, 3), 1.0)
    residual[:, 0] = 3.0
    calibration = calibrate(residual, np.zeros((2, 3)), np.zeros((2, 3), bool))
    pooled = (2 * 9 + 4 * 1) / 6
    assert calibration.gene[0] ** 2 == pytest.approx((2 * 9 + 4 * pooled) / 6, rel=1e-5)


def test_without_residuals_the_interval_is_a_point():
    zeros = np.zeros((4, 3))
    calibration = calibrate(zeros, zeros, zeros > 0)
    np.testing.assert_array_equal(calibration.half_width(zeros, zeros > 0), 0.0)


def test_where_every_measured_gene_is_edited_the_width_is_that_of_edited_genes():
    residual = np.random.default_rng(7).normal(size=(6, 2))
    nothing, everywhere = np.zeros((6, 2)), np.ones((6, 2), bool)
    found = calibrate(residual, nothing, everywhere)
    assert found.own == pytest.approx(np.sqrt((residual**2).mean()), rel=1e-5)
    assert np.isfinite(found.half_width(nothing, everywhere)).all()
