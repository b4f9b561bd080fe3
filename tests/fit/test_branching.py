"""Shares of fates: what was found for seen edits, what is expected of unseen ones, and the mean that follows."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from small_data import condition, dataset
from small_fates import CENTRES, MEDIUM, SHIFT, cells_with, screen
from small_laws import certain

from semimech.baselines import fit_baseline
from semimech.data import Cells
from semimech.fit.branching import with_fates
from semimech.fit.shares import Shares

NO_CHANGE = partial(fit_baseline, "no change")
TRAINING = {"control": 0.6, "G0": 0.0, "G2": 0.6, "G5": 0.6}


def asked(name: str, hours: float = 48.0):
    return condition(name, hours, medium=MEDIUM)


def expected(share: float) -> np.ndarray:
    return share * CENTRES[0] + (1 - share) * CENTRES[1]


def shares_of(shares: Shares, name: str, hours: float = 48.0) -> np.ndarray:
    return shares.shares(asked(name, hours), shares.branch(asked(name, hours))).share


def test_the_knockout_of_an_unseen_regulator_takes_its_fate_away():
    """The other regulator was seen: what is made in one fate alone is needed for it."""
    model = with_fates(screen(TRAINING), NO_CHANGE)
    mean = model.predict_conditions([asked("G1")]).mean[0]
    before, after = expected(0.6)[2:], expected(1.0)[2:]
    assert abs(mean[2:] - after).max() < 0.35 * abs(before - after).max()
    assert shares_of(model.shares, "G1").max() > 0.85


def test_where_edits_leave_shares_alone_nothing_is_expected_of_an_unseen_one():
    model = with_fates(screen({"control": 0.6, "G0": 0.6, "G2": 0.6, "G5": 0.6}), NO_CHANGE)
    assert model.shares.pull < 0.02
    assert shares_of(model.shares, "G1") == pytest.approx([0.6, 0.4], abs=0.03)


def test_seen_edits_have_the_shares_that_were_found_and_pairs_add_their_log_odds():
    shares = Shares(screen({"control": 0.5, "G2": 0.8, "G4": 0.8}), seed=0)
    larger = int(np.argmax(shares_of(shares, "G2")))
    assert shares_of(shares, "G2")[larger] == pytest.approx(0.8, abs=0.03)
    odds = 0.8 / 0.2
    assert shares_of(shares, "G2+G4")[larger] == pytest.approx(odds**2 / (1 + odds**2), abs=0.03)


def half_width(model, name: str, hours: float = 48.0) -> np.ndarray:
    """Half of an interval, over the distance of the fates."""
    found = model.predict_conditions([asked(name, hours)])
    apart = np.ptp(model.shares.branch(asked(name, hours)).fates.centre, axis=0)
    return ((found.upper - found.mean) / apart)[0, :4]


def without_doubt(data):
    """Shares of fates under a law that takes itself for certain."""
    return with_fates(data, certain(NO_CHANGE))


def test_shares_that_were_counted_have_the_error_of_that_count():
    """Fates lie far apart, so that each cell's is known; the prior counts as two cells."""
    few = half_width(without_doubt(screen({"control": 0.5, "G2": 0.8, "G4": 0.8}, n=50)), "G2")
    np.testing.assert_allclose(few, 1.645 * np.sqrt(0.8 * 0.2 / 52), rtol=0.06)
    # An unseen pair of seen edits: logits and their variances add, that of unedited cells comes in once.
    pair = half_width(without_doubt(screen({"control": 0.5, "G2": 0.8, "G4": 0.8})), "G2+G4")
    logit = 2.0 / (202 * 0.8 * 0.2) + 1.0 / (202 * 0.5 * 0.5)
    np.testing.assert_allclose(pair, 1.645 * 16 / 17 / 17 * np.sqrt(logit), rtol=0.1)


def test_pairs_whose_shifts_do_not_add_up_widen_the_intervals_of_others():
    shares = {"control": 0.5, "G2": 0.8, "G4": 0.8, "G5": 0.8}
    pair = half_width(without_doubt(screen(shares | {"G2+G4": 0.5})), "G2+G5")
    missed = 16 / 17 - 0.5
    np.testing.assert_allclose(pair, 1.645 * missed, rtol=0.1)
    assert half_width(without_doubt(screen(shares | {"G2+G4": 16 / 17})), "G2+G5").max() < 0.3 * pair.min()


def test_between_two_harvests_a_share_may_have_moved_at_any_moment():
    model = without_doubt(
        screen_of([("control", 24, 0.5), ("control", 48, 0.5), ("control", 72, 0.5), ("G2", 24, 0.5), ("G2", 72, 0.9)])
    )
    ends = half_width(model, "G2", 24.0), half_width(model, "G2", 72.0)
    between = half_width(model, "G2")
    jump = np.log(9.0)  # of the log odds; with the chance of one half it is there
    np.testing.assert_allclose(between, 1.645 * 0.75 * 0.25 * jump / 2, rtol=0.12)
    assert between.min() > 2 * max(end.max() for end in ends)


def screen_of(plan):
    """A screen of 200 cells of each perturbation, time and share."""
    rng = np.random.default_rng(0)
    clouds = [cells_with(share, 200, rng) for *_, share in plan]
    n = len(plan)
    cells = Cells(values=np.concatenate(clouds), condition=np.repeat(np.arange(n), 200), batch=np.zeros(200 * n, int))
    conditions = [condition(name, hours, medium=MEDIUM) for name, hours, _ in plan]
    return dataset(conditions, np.array([c.mean(axis=0) for c in clouds]), cells=cells, media=(MEDIUM,))


def test_log_odds_are_linear_in_time_between_harvests():
    data = screen_of(
        [("control", 24, 0.5), ("control", 48, 0.5), ("control", 72, 0.5), ("G2", 24, 0.5), ("G2", 72, 0.9)]
    )
    shares = Shares(data, seed=0)
    odds = np.sqrt(0.9 / 0.1)
    assert shares_of(shares, "G2").max() == pytest.approx(odds / (1 + odds), abs=0.03)


def test_the_law_is_fitted_at_the_shares_of_unedited_cells():
    """What G0 loses of its fate, and what G5 does in both, are told apart."""
    seen = []
    data = screen(TRAINING)

    def law(train):
        seen.append(train)
        return fit_baseline("additive", train)

    model = with_fates(data, law)
    within = dict(zip(data.perturbations[2:], (seen[0].mean - data.mean[1])[2:], strict=True))
    assert within["G0"] == pytest.approx(np.zeros(6), abs=0.25)
    assert within["G5"] == pytest.approx(SHIFT, abs=0.25)
    mean = model.predict_conditions([asked("G0+G5")]).mean[0]
    assert mean[1:] == pytest.approx((expected(0.0) + SHIFT)[1:], abs=0.35)


def test_the_measured_mean_of_a_seen_edit_is_given_back():
    data = screen(TRAINING)
    model = with_fates(data, partial(fit_baseline, "additive"))
    assert model.predict_conditions(data.conditions[2:]).mean == pytest.approx(data.mean[2:], abs=0.15)


def test_a_population_has_the_shares_and_stays_in_its_fates():
    data = screen(TRAINING)
    model = with_fates(data, NO_CHANGE)
    unedited = cells_with(0.6, 400, np.random.default_rng(5))
    cells = model.population(asked("G0"), unedited, rng=np.random.default_rng(6))
    distance = np.linalg.norm(cells[:, None, 1:4] - CENTRES[None, :, 1:4], axis=-1)
    assert (distance.argmin(axis=1) == 1).mean() > 0.95
    assert distance.min(axis=1).max() < 2.5 < np.linalg.norm(CENTRES[0] - CENTRES[1]) / 2


def test_without_fates_it_is_the_law_alone():
    rng = np.random.default_rng(0)
    names = ["control", "G0", "G1"]
    values = rng.normal(5.0, 1.0, size=(600, 6))
    cells = Cells(values=values, condition=np.repeat(np.arange(3), 200), batch=np.zeros(600, int))
    conditions = [asked(name) for name in names]
    data = dataset(conditions, values.reshape(3, 200, 6).mean(axis=1), cells=cells, media=(MEDIUM,))
    law, model = NO_CHANGE(data), with_fates(data, NO_CHANGE)
    queries = [asked("G0"), asked("G3"), asked("control")]
    np.testing.assert_array_equal(model.predict_conditions(queries).mean, law.predict_conditions(queries).mean)


def test_one_step_ahead_adds_the_predicted_step_to_the_observation():
    data = screen(TRAINING, hours=(24.0, 48.0))
    model = with_fates(data, NO_CHANGE)
    before, after = [asked("G5", 24.0)], [asked("G5", 48.0)]
    step = model.predict_conditions(after).mean - model.predict_conditions(before).mean
    assert model.advance(data.mean[:1], before, after) == pytest.approx(data.mean[:1] + step)


def test_settled_cells_have_the_shares_of_their_settled_harvest_or_of_the_last_before():
    data = screen({"control": 0.5, "G2": 0.9}, hours=(48.0,))
    assert shares_of(Shares(data, seed=0), "G2", np.inf).max() == pytest.approx(0.9, abs=0.03)
    settled = screen({"control": 0.5, "G2": 0.9}, hours=(np.inf,))
    assert shares_of(Shares(settled, seed=0), "G2", np.inf).max() == pytest.approx(0.9, abs=0.03)
