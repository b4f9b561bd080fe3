from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import nbinom, poisson

from semimech import DataError
from semimech.model import MeasurementOperator, log_negative_binomial

COUNTS = np.array([0, 1, 2, 7, 30, 300, 5_000, 100_000])
MEANS = np.array([1e-6, 0.03, 1.0, 8.0, 250.0, 5_200.0, 1e5])
GRID = tuple(grid.ravel() for grid in np.meshgrid(COUNTS, MEANS))


@pytest.fixture
def double():
    with jax.enable_x64(True):
        yield


def operator(**changes) -> MeasurementOperator:
    """Two batches, four genes."""
    parameters = {
        "capture": jnp.array([1.0, 0.6]),
        "gene_factor": jnp.array([[1.0, 1.0, 1.0, 1.0], [1.5, 0.5, 1.0, 1.0]]),
        "dispersion": jnp.array([0.0, 0.1, 0.5, 2.0]),
    }
    return MeasurementOperator(**{**parameters, **changes})


def cells(n: int) -> dict:
    return {"library": jnp.full(n, 2_000.0), "batch": jnp.arange(n) % 2}


def states(n: int) -> jnp.ndarray:
    return jnp.tile(jnp.array([10.0, 20.0, 30.0, 40.0]), (n, 1))


@pytest.mark.parametrize("dispersion", [1e-4, 0.02, 0.3, 1.0, 5.0, 50.0])
def test_the_mass_is_that_of_scipy_from_no_count_to_a_hundred_thousand(double, dispersion):
    y, mean = GRID
    found = log_negative_binomial(jnp.asarray(y), jnp.asarray(mean), jnp.full(len(y), dispersion))
    size = 1 / dispersion
    wanted = nbinom.logpmf(y, size, 1 / (1 + dispersion * mean))
    np.testing.assert_allclose(found, wanted, rtol=1e-7, atol=1e-6)


def test_without_dispersion_the_mass_is_that_of_poisson(double):
    y, mean = GRID
    found = log_negative_binomial(jnp.asarray(y), jnp.asarray(mean), jnp.zeros(len(y)))
    np.testing.assert_allclose(found, poisson.logpmf(y, mean), rtol=1e-9, atol=1e-9)


def test_a_little_dispersion_adds_its_first_order_to_poisson(double):
    y, mean = (values.astype(float) for values in GRID)
    found = log_negative_binomial(jnp.asarray(y), jnp.asarray(mean), jnp.full(len(y), 1e-10))
    added = 0.5e-10 * ((y - mean) ** 2 - y)
    np.testing.assert_allclose(found - poisson.logpmf(y, mean), added, rtol=1e-4, atol=1e-8)


@pytest.mark.parametrize("dispersion", [0.0, 0.02, 1.0])
def test_single_precision_keeps_the_mass_near_the_mean_to_a_thousandth(dispersion):
    y = np.array([0, 1, 10, 1_000, 100_000])
    mean = np.maximum(y * 1.01, 0.1).astype(np.float32)
    found = log_negative_binomial(jnp.asarray(y), jnp.asarray(mean), jnp.full(len(y), dispersion))
    exact = mean.astype(float)
    wanted = nbinom.logpmf(y, 1 / dispersion, 1 / (1 + dispersion * exact)) if dispersion else poisson.logpmf(y, exact)
    np.testing.assert_allclose(found, wanted, atol=1e-3)


@pytest.mark.parametrize("argument", [1, 2])
@pytest.mark.parametrize("dispersion", [1e-3, 0.2, 3.0])
def test_the_gradient_is_that_of_finite_differences(double, argument, dispersion):
    y, mean = GRID
    arguments = [jnp.asarray(y, float), jnp.asarray(mean), jnp.full(len(y), dispersion)]
    gradient = jax.grad(lambda *a: log_negative_binomial(*a).sum(), argument)(*arguments)
    step = 1e-5 * arguments[argument]

    def at(side: float) -> np.ndarray:
        moved = [a + side * step if i == argument else a for i, a in enumerate(arguments)]
        return np.asarray(log_negative_binomial(*moved))

    difference = (at(1.0) - at(-1.0)) / (2 * np.asarray(step))
    np.testing.assert_allclose(gradient, difference, rtol=2e-4, atol=1e-5 * np.abs(difference).max() ** 0.5)


def test_values_and_gradients_are_finite_over_the_whole_range():
    y, mean = GRID
    for dispersion in (0.0, 1e-12, 1e-3, 1.0, 1e3):
        value, gradient = jax.value_and_grad(
            lambda m, d: log_negative_binomial(jnp.asarray(y), m, d).sum(), argnums=(0, 1)
        )(jnp.asarray(mean, jnp.float32), jnp.full(len(y), dispersion, jnp.float32))
        assert np.isfinite(value) and np.isfinite(gradient[0]).all() and np.isfinite(gradient[1]).all()


def test_a_count_of_a_gene_that_is_not_there_is_impossible_and_no_count_is_certain():
    found = log_negative_binomial(jnp.array([0, 3]), jnp.zeros(2), jnp.full(2, 0.1))
    assert found[0] == 0 and found[1] == -np.inf


@pytest.mark.parametrize("changes", [{}, {"zero_inflation": jnp.array([0.0, 0.2, 0.3, 0.6])}])
def test_probabilities_of_all_counts_sum_to_one(changes):
    y = jnp.tile(jnp.arange(4_000)[:, None], (1, 4))
    given = {"library": jnp.full(4_000, 300.0), "batch": jnp.ones(4_000, int)}
    mass = jnp.exp(operator(**changes).log_prob(y, states(4_000), **given)).sum(axis=0)
    np.testing.assert_allclose(mass, 1.0, atol=2e-3)


def test_zero_inflation_puts_its_share_on_no_count_and_is_none_where_it_is_zero(double):
    n, share = 6, jnp.array([0.0, 0.2, 0.3, 0.6])
    given = {"library": jnp.full(n, 30.0), "batch": jnp.zeros(n, int)}
    counts = jnp.tile(jnp.arange(n)[:, None], (1, 4))
    plain = np.exp(np.asarray(operator().log_prob(counts, states(n), **given)))
    found = np.exp(np.asarray(operator(zero_inflation=share).log_prob(counts, states(n), **given)))
    np.testing.assert_allclose(found[1:], (1 - np.asarray(share)) * plain[1:], rtol=1e-5)
    np.testing.assert_allclose(found[0], np.asarray(share) + (1 - np.asarray(share)) * plain[0], rtol=1e-5)


def test_the_mean_is_library_times_capture_times_the_share_that_the_batch_lets_through():
    found = operator().mean(states(2), **cells(2))
    share = np.array([0.1, 0.2, 0.3, 0.4])
    np.testing.assert_allclose(found[0], 2_000 * share, rtol=1e-6)
    np.testing.assert_allclose(found[1], 2_000 * 0.6 * share * [1.5, 0.5, 1, 1], rtol=1e-6)


def test_ambient_counts_take_their_fraction_from_the_cell():
    profile = jnp.array([[1.0, 0, 0, 0], [0, 0, 0, 1.0]])
    found = operator(ambient_fraction=jnp.array([0.1, 0.0]), ambient_profile=profile).mean(states(2), **cells(2))
    np.testing.assert_allclose(found[0], 2_000 * (0.9 * np.array([0.1, 0.2, 0.3, 0.4]) + 0.1 * np.eye(4)[0]), rtol=1e-6)
    np.testing.assert_allclose(found[1], operator().mean(states(2), **cells(2))[1], rtol=1e-6)


def test_draws_have_the_mean_and_variance_of_the_law():
    n = 40_000
    zero = jnp.array([0.0, 0.0, 0.0, 0.3])
    model = operator(zero_inflation=zero)
    given = {"library": jnp.full(n, 2_000.0), "batch": jnp.ones(n, int)}
    drawn = np.asarray(model.sample(states(n), key=jax.random.key(0), **given), float)
    mean = np.asarray(model.mean(states(1), library=jnp.array([2_000.0]), batch=jnp.array([1])))[0]
    alpha, seen = np.asarray(model.dispersion), 1 - np.asarray(zero)
    variance = seen * (mean + alpha * mean**2) + seen * (1 - seen) * mean**2
    assert (np.abs(drawn.mean(axis=0) - seen * mean) < 5 * np.sqrt(variance / n)).all()
    np.testing.assert_allclose(drawn.var(axis=0), variance, rtol=0.1)


def test_draws_have_the_probabilities_that_log_prob_says():
    n = 40_000
    given = {"library": jnp.full(n, 15.0), "batch": jnp.zeros(n, int)}
    drawn = np.asarray(operator().sample(states(n), key=jax.random.key(1), **given))
    for count in range(5):
        one = {"library": jnp.array([15.0]), "batch": jnp.array([0])}
        wanted = np.exp(np.asarray(operator().log_prob(jnp.full((1, 4), count), states(1), **one)))[0]
        assert (np.abs((drawn == count).mean(axis=0) - wanted) < 5 * np.sqrt(wanted / n)).all()


def test_a_fit_by_the_likelihood_finds_mean_and_dispersion_again():
    n, truth = 4_000, jnp.array([0.05, 0.1, 0.5, 2.0])
    model = operator(dispersion=truth)
    counts = model.sample(states(n), key=jax.random.key(2), **cells(n))

    def loss(parameters):
        free = operator(dispersion=jnp.exp(parameters[1]))
        return -free.log_prob(counts, jnp.tile(jnp.exp(parameters[0]), (n, 1)), **cells(n)).mean()

    parameters, step = (jnp.zeros(4), jnp.full(4, -1.0)), jax.jit(jax.grad(loss))
    moments = jax.tree.map(jnp.zeros_like, parameters)
    for _ in range(400):
        gradient = step(parameters)
        moments = jax.tree.map(lambda m, g: 0.9 * m + g, moments, gradient)
        parameters = jax.tree.map(lambda p, m: p - 0.05 * m, parameters, moments)
    share = jnp.exp(parameters[0]) / jnp.exp(parameters[0]).sum()
    np.testing.assert_allclose(share, [0.1, 0.2, 0.3, 0.4], rtol=0.05)
    np.testing.assert_allclose(jnp.exp(parameters[1]), truth, rtol=0.2)


def test_every_parameter_outside_its_range_is_named_at_once():
    bad = operator(capture=jnp.array([0.0, 1.0]), dispersion=jnp.full(4, -1.0), ambient_fraction=jnp.array([0.1, 1.0]))
    with pytest.raises(DataError, match=r"(?s)capture.*dispersion.*ambient_fraction must lie.*give both"):
        bad.check()
    operator().check()
