from __future__ import annotations

import math
from dataclasses import replace

import jax
import numpy as np
import pytest
from small_data import condition
from small_fits import EDITED, N_GENES, TIMES, UNIT, asked

from semimech._errors import DataError
from semimech.assumptions.catalogue import KNOWN_WIRING, STATIONARY_CONTROLS
from semimech.experiment import as_experiment, parse_experiment
from semimech.fit import FittedModel


def conditions(*protocols: str):
    return [list(parse_experiment(p).conditions.values())[-1] for p in protocols]


def one_member(fitted: FittedModel) -> FittedModel:
    """The model of the first member alone."""
    fit, record = fitted.fit, fitted.record
    members = jax.tree.map(lambda leaf: leaf[:1] if isinstance(leaf, jax.Array) else leaf, fit.members)
    record = replace(record, config=replace(record.config, n_members=1))
    return FittedModel(replace(fitted._result, fit=replace(fit, members=members), record=record))


def test_predictions_come_in_the_order_asked_whatever_else_is_asked(fitted):
    query = [asked(name, 24.0) for name in ("G3", "control", "G0", "X")]
    together = fitted.predict_conditions(query).mean
    backwards = fitted.predict_conditions(query[::-1]).mean[::-1]
    np.testing.assert_array_equal(together, backwards)
    for row, one in enumerate(query):
        np.testing.assert_allclose(fitted.predict_conditions([one]).mean[0], together[row], rtol=1e-5)


def test_a_prediction_does_not_depend_on_the_times_of_what_else_is_asked(fitted):
    coarse = FittedModel(
        replace(
            fitted._result, record=replace(fitted.record, config=replace(fitted.record.config, max_step_hours=24.0))
        )
    )
    query = [asked(name, 60.0) for name in EDITED]
    together = coarse.predict_conditions([*query, *(asked("control", hours) for hours in (7.0, 19.0, 31.0, 43.0))])
    np.testing.assert_allclose(
        together.mean[: len(query)] / UNIT, coarse.predict_conditions(query).mean / UNIT, atol=1e-3
    )


def test_intervals_stand_evenly_around_the_mean_as_wide_as_held_out_residuals_of_their_kind(fitted):
    found = fitted.predict_conditions([asked("G0", 24.0), asked("G6", 24.0)])
    np.testing.assert_allclose(found.upper - found.mean, found.mean - found.lower, rtol=1e-9)
    others = [1, 2, 3, 4, 5, 7]
    for row, kind in enumerate((fitted.fit.seen, fitted.fit.unseen)):
        change = found.mean[row, others] - UNIT[others]
        expected = kind.factor * np.hypot(kind.gene[others], kind.slope * change)
        np.testing.assert_allclose((found.upper - found.mean)[row, others], expected, rtol=1e-4)


def test_no_query_gives_no_row(fitted):
    assert fitted.predict_conditions([]).mean.shape == (0, N_GENES)


def test_the_maintenance_medium_may_be_named_and_settled_cells_asked_for(fitted):
    query = conditions(
        "medium maintenance > edit G0 crispri 0.9 > wait 12h > harvest", "edit G0 crispri 0.9 > wait 12h > harvest"
    )
    named, unnamed = fitted.predict_conditions(query).mean
    np.testing.assert_array_equal(named, unnamed)
    settled = fitted.predict_conditions([asked("G0", math.inf)]).mean[0]
    late = fitted.predict_conditions([asked("G0", 480.0)]).mean[0]
    np.testing.assert_allclose(settled, late, rtol=1e-3)


def test_every_unknown_gene_and_medium_is_listed_with_its_near_names(fitted):
    query = conditions("edit G11 > edit STAT1 > wait 1d > harvest", "medium maintenence > wait 1d > harvest")
    with pytest.raises(DataError) as error:
        fitted.predict_conditions(query)
    message = str(error.value)
    assert message.startswith("query: 3 faults")
    assert (
        "gene 'G11' is neither measured nor edited in training, nor in a table of genes; did you mean 'G1'" in message
    )
    assert "gene 'STAT1' is neither measured nor edited in training, nor in a table of genes\n" in message
    assert "medium 'maintenence' was not in the training data; did you mean 'maintenance'?" in message


def corrections(fitted: FittedModel, query, **shares) -> np.ndarray:
    """What predictions gain by residuals, with given shares."""
    fit = replace(fitted.fit, **{name: np.array(share, np.float32) for name, share in shares.items()})
    return FittedModel(replace(fitted._result, fit=fit)).corrected(query).carried


@pytest.fixture(scope="module")
def residual(fitted, data):
    """Observed minus what the law says; unedited cells in maintenance medium are one pool."""
    found = dict(zip(fitted.training, np.asarray(fitted.fit.residual, np.float64), strict=True))
    pool = data.control_mean()
    controls = [asked("control", hours) for hours in (*TIMES, 9.0, 60.0, 3.0)]
    return found | dict(zip(controls, pool - fitted.by_law(controls), strict=True))


def test_what_was_seen_carries_over_shares_of_the_residuals_of_unedited_cells_and_of_what_goes_beyond(fitted, residual):
    query = [asked("G2", hours) for hours in (12.0, 9.0, 60.0, 3.0)]
    gain = corrections(fitted, query, carry_over=[[0.8, 0.5, 0.0], [9.0, 9.0, 9.0], [0.6, 0.25, 0.0]])
    control = [residual[c] for c in (asked("control", hours) for hours in (12.0, 9.0, 60.0, 3.0))]
    first, second, last = (residual[asked("G2", hours)] for hours in TIMES)
    expected = [
        0.8 * control[0] + 0.5 * (second - control[0]),
        0.8 * control[1] + 0.5 * (0.5 * (first + second) - control[1]),
        0.6 * control[2] + 0.25 * (last - control[2]),
        0.8 * control[3] + 0.5 * (0.5 * first - control[3]),
    ]
    np.testing.assert_allclose(gain, expected, atol=1e-4)


def test_between_harvests_all_shares_at_one_are_the_line_through_measured_changes_and_before_the_first_the_law_bends(
    fitted, data
):
    everything = np.ones((3, 3), np.float32)
    model = FittedModel(replace(fitted._result, fit=replace(fitted.fit, carry_over=everything)))
    first, second = TIMES[:2]
    between, before, control = (asked(*c) for c in (("G2", (first + second) / 2), ("G2", first / 2), ("control", 9.0)))
    changes = [data.mean[data.index[c]] - data.matched_control(c) for c in (asked("G2", first), asked("G2", second))]
    found = model.predict_conditions([between, control, before]).mean
    np.testing.assert_allclose(found[0] - found[1], 0.5 * (changes[0] + changes[1]), atol=1e-4)
    without = corrections(fitted, [before], carry_over=[[1.0, 1.0, 0.0]] * 3)
    np.testing.assert_allclose(corrections(fitted, [before], carry_over=everything), without, atol=1e-6)


def test_after_the_last_harvest_all_shares_at_one_are_persistence(fitted, data):
    everything = np.ones((3, 3), np.float32)
    model = FittedModel(replace(fitted._result, fit=replace(fitted.fit, carry_over=everything)))
    last = data.conditions.index(asked("G2", TIMES[-1]))
    found = model.predict_conditions([asked("G2", TIMES[-1] + 48.0)]).mean[0]
    persistent = fitted.by_law([data.conditions[last]])[0] + fitted.fit.residual[last]
    np.testing.assert_allclose(found, persistent, rtol=1e-4)


def test_unedited_cells_are_predicted_as_they_were_measured(fitted, data):
    found = fitted.predict_conditions([asked("control", 12.0, medium="M"), asked("control", 30.0)]).mean
    np.testing.assert_allclose(
        found[0], data.mean[data.conditions.index(asked("control", 12.0, medium="M"))], rtol=1e-4
    )
    np.testing.assert_allclose(found[1], data.matched_control(asked("control", 30.0)), rtol=1e-4)


def test_an_unseen_edit_starts_at_unedited_cells_as_they_were_measured(fitted, residual):
    gain = corrections(fitted, [asked("G6", 12.0), asked("G6", 48.0, medium="M")], trust=[0.5, 0.0, 0.0, 0.0, 0.0, 0.0])
    expected = [residual[asked("control", 12.0)], residual[asked("control", 48.0, medium="M")]]
    np.testing.assert_allclose(gain, 0.5 * np.array(expected), atol=1e-4)


def test_what_was_seen_in_parts_adds_the_residuals_of_its_parts_each_in_its_own_duration(fitted, residual):
    query = conditions(
        "edit G0 crispri 0.9 > edit G1 crispri 0.9 > wait 12h > harvest",
        "edit G0 crispri 0.9 > medium M > wait 48h > harvest",
        "medium M > wait 36h > edit G0 crispri 0.9 > wait 12h > harvest",
    )
    control, in_medium = residual[asked("control", 12.0)], residual[asked("control", 48.0, medium="M")]
    alone = {
        (name, hours): residual[asked(name, hours)] - residual[asked("control", hours)]
        for name in EDITED
        for hours in TIMES
    }
    gain = corrections(fitted, query, compose=[1.0, 0.5, 0.25, 0.0])
    expected = [
        0.5 * control + 0.25 * (alone["G0", 12.0] + alone["G1", 12.0]),
        0.5 * in_medium + 0.25 * alone["G0", 48.0],
        0.5 * in_medium + 0.25 * alone["G0", 12.0],
    ]
    np.testing.assert_allclose(gain, expected, atol=1e-4)


def test_composed_without_the_laws_interaction_is_the_sum_of_what_was_measured(fitted, data):
    measured = dict(zip(data.conditions, data.mean, strict=True))
    additive = replace(fitted.fit, compose=np.array([0.0, 1.0, 1.0, 0.0], np.float32))
    query = conditions("edit G0 crispri 0.9 > edit G1 crispri 0.9 > wait 12h > harvest")
    found = FittedModel(replace(fitted._result, fit=additive)).predict_conditions(query).mean[0]
    control = data.matched_control(asked("control", 12.0))
    expected = measured[asked("G0", 12.0)] + measured[asked("G1", 12.0)] - control
    assert (np.abs(found - expected) <= 2 * 0.02 * UNIT).all()  # residuals are shrunk by the noise, 2 % of each gene
    assert np.abs(found - expected).sum() < np.abs(fitted.by_law(query)[0] - expected).sum()


@pytest.mark.parametrize("step", [1, 2, 3, 4])
def test_an_edit_of_a_gene_that_was_never_edited_is_pooled_with_those_of_an_unknown_gene_and_of_none(fitted, step):
    trusts = np.tile(np.array([1, 1, 1, 0, 0, 0], np.float32), (3, 1))
    trusts[:, step] = 0.0, 0.5, 1.0
    ends = [
        FittedModel(replace(fitted._result, fit=replace(fitted.fit, trust=trust)))
        .predict_conditions([asked("G6", 24.0)])
        .mean[0]
        for trust in trusts
    ]
    others = np.arange(N_GENES) != 6
    np.testing.assert_allclose(ends[1][others], (0.5 * (ends[0] + ends[2]))[others], rtol=1e-5)
    assert ends[0][6] == ends[1][6] == ends[2][6]
    assert not np.allclose(ends[0][others], ends[2][others])


def test_going_on_from_the_laws_own_prediction_is_the_laws_later_prediction(fitted):
    law = one_member(fitted)
    before = [asked(name, 12.0) for name in (*EDITED, "control")]
    after = [asked(name, hours) for name, hours in zip((*EDITED, "control"), (24, 24, 48, 24, 48, 24, 24), strict=True)]
    advanced = law.advance(law.by_law(before), before, after)
    np.testing.assert_allclose(advanced, law.by_law(after), rtol=1e-4)


def test_going_on_through_a_change_of_medium_and_until_settled_follows_the_protocol(fitted):
    law = one_member(fitted)
    first = "edit G0 crispri 0.9 > wait 12h > "
    before = conditions(*[first + "harvest"] * 4)
    after = conditions(
        first + "wait 12h > medium M > wait 24h > harvest",
        first + "medium M > wait 6h > medium maintenance > wait 6h > harvest",
        first + "wait settled > harvest",
        first + "medium M > harvest",
    )
    advanced = law.advance(law.by_law(before), before, after)
    np.testing.assert_allclose(advanced, law.by_law(after), rtol=1e-4)


def test_cells_observed_elsewhere_than_predicted_are_where_the_law_goes_on_from(fitted):
    law = one_member(fitted)
    before, after = [asked("control", 12.0)], [asked("control", 18.0)]
    advanced = law.advance(3.0 * UNIT[None], before, after)
    rates = np.exp(np.asarray(law.fit.members.dynamics.log_degradation))[0]
    # Every gene is far above its level and above what its regulators ask for: it falls, the faster the shorter-lived.
    assert (advanced < 3.0 * UNIT).all()
    assert np.corrcoef((advanced / UNIT)[0], rates)[0, 1] < -0.5


def test_going_on_to_another_protocol_is_refused(fitted):
    observed = UNIT[None]
    with pytest.raises(ValueError, match="is not .* continued"):
        fitted.advance(observed, [asked("G0", 12.0)], [asked("G1", 24.0)])
    with pytest.raises(ValueError, match="is not .* continued"):
        fitted.advance(observed, [asked("G0", 12.0)], [asked("G0", 6.0)])
    with pytest.raises(DataError, match="gene 'Z' is neither measured nor edited"):
        fitted.advance(observed, [condition("Z", 12.0)], [condition("Z", 24.0)])


def test_the_network_lists_edges_by_size_with_their_spread_over_members(fitted):
    network = fitted.network()
    assert list(network.columns) == ["source", "target", "weight", "spread"]
    assert (np.diff(network["weight"].abs()) <= 0).all()
    weight = np.asarray(fitted.fit.members.dynamics.regulation.weight)
    top = network.iloc[0]
    values = weight[:, fitted.genes.index(top["target"]), fitted.roster.regulators.index(top["source"])]
    assert top["weight"] == pytest.approx(values.mean(), rel=1e-5)
    assert top["spread"] == pytest.approx(values.std(ddof=1), rel=1e-4)
    assert (network["weight"].abs() > 1e-3).all()


def test_a_model_says_what_it_is_and_what_it_takes_for_granted(fitted):
    assert fitted.name == "semi-mechanistic"
    assert KNOWN_WIRING in fitted.assumptions
    assert STATIONARY_CONTROLS not in fitted.assumptions


def test_a_prediction_has_a_row_for_each_harvest(fitted):
    predicted = fitted.predict([parse_experiment("edit G0 > wait 1d > harvest a > wait 1d > harvest b", id="two")])
    assert predicted.obs["harvest"].tolist() == ["a", "b"]
    assert list(predicted.var_names) == list(fitted.genes)
    assert (predicted.layers["lower"] < predicted.X).all()


def test_every_prediction_says_how_it_stands_to_the_training_data(fitted):
    seen = [as_experiment(condition, id=f"seen {row}") for row, condition in enumerate(fitted.training)]
    new = parse_experiment(
        "edit G0 crispri 0.9 > edit G3 crispri 0.9 > wait 1d > harvest pair > wait 1000d > harvest late", id="new"
    )
    predicted = fitted.predict([*seen, new]).obs
    assert predicted["coverage"].tolist() == ["observed"] * len(seen) + ["extrapolated"] * 2
    assert predicted["coverage_axes"].tolist() == [""] * len(seen) + ["combination"] * 2
