"""Facts about warm refits."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from small_fits import QUICK

from semimech import ConfigError
from semimech.fit import FitConfig, fit
from semimech.fit.candidates import Candidate
from semimech.fit.warm import narrowed, warm_steps


@pytest.fixture(scope="module")
def again(data, fitted):
    """The same data, begun where the fit to them ended."""
    return fit(data, QUICK, targets=("Y",), warm=fitted)


def test_a_warm_fit_to_the_same_data_stays_where_it_is_in_half_of_the_steps(data, fitted, again):
    change = fitted.by_law(data.conditions) - np.asarray(fitted.fit.control)
    moved = again.by_law(data.conditions) - fitted.by_law(data.conditions)
    assert (moved**2).mean() < 0.01 * (change**2).mean()
    assert again.record.history["step"].max() + 1 == QUICK.n_steps // 2 == warm_steps(QUICK)


def test_what_is_held_out_in_a_warm_fit_is_held_out_of_fits_from_nothing(fitted, again):
    """Earlier members saw all conditions: a fold that began from them would know what it is asked."""
    np.testing.assert_allclose(again.record.selection["error"], fitted.record.selection["error"], rtol=1e-5)
    np.testing.assert_allclose(again.fit.trust, fitted.fit.trust, atol=1e-4)
    np.testing.assert_allclose(again.fit.carry_over, fitted.fit.carry_over, atol=1e-4)


def test_the_steady_state_loss_is_kept_and_penalties_are_chosen_again():
    chosen = Candidate(strength="moment", n_factors=2, weight=4.0, sparsity=0.3, decay=0.1)
    small = narrowed(FitConfig(), chosen)
    assert (small.steady_state, small.steady_state_weights, small.latent_factors) == ("moment", (4.0,), (2,))
    assert (small.sparsities, small.weight_decays) == (FitConfig().sparsities, FitConfig().weight_decays)
    assert narrowed(FitConfig(), Candidate()).steady_state == "none"


def test_a_model_of_other_targets_is_no_start(data, fitted):
    with pytest.raises(ConfigError, match="other genes, targets or media"):
        fit(data, replace(QUICK, n_steps=1, validation_steps=1), targets=("Y", "Z"), warm=fitted)


def test_a_law_of_another_form_is_no_start(data, fitted):
    with pytest.raises(ConfigError, match="law of another form"):
        fit(data, replace(QUICK, law="neural", n_steps=1, validation_steps=1), targets=("Y",), warm=fitted)
