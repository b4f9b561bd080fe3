from __future__ import annotations

from dataclasses import replace

import jax
import numpy as np
import pandas as pd
import pytest
from small_data import condition, dataset
from small_fits import EDITED, N_GENES, QUICK, TIMES, UNIT, asked, control_moments, linear_conditions, linear_data

from semimech._errors import ConfigError, DataError
from semimech.assumptions.catalogue import STATIONARY_CONTROLS
from semimech.experiment import parse_experiment
from semimech.fit import fit, load
from semimech.fit.train import TERMS
from semimech.model import PriorNetwork

SEEN = tuple(name for name in EDITED if name != "X")


def arrays(model) -> list[np.ndarray]:
    return [np.asarray(leaf) for leaf in jax.tree.leaves(model.fit)]


def test_decay_rates_of_a_linear_world_are_recovered(fitted, world):
    rates = np.exp(np.asarray(fitted.fit.members.dynamics.log_degradation)).mean(axis=0)
    # Genes 0 and 7 to 4 are edited or follow an edited gene; half-lives span a factor of seven.
    assert np.abs(np.log2(rates / world.degradation)).max() < 0.5
    assert np.corrcoef(np.log(rates), np.log(world.degradation))[0, 1] > 0.95


def test_strong_edges_from_edited_genes_are_recovered_with_their_signs(fitted, world):
    edges = fitted.network().head(6)
    true = {
        (f"G{source}", f"G{target}"): world.weight[target, source]
        for target, source in zip(*world.weight.nonzero(), strict=True)
    }
    true["X", "G5"] = 1.0  # its loss lowers G5
    found = {(e.source, e.target): e.weight for e in edges.itertuples()}
    assert set(found) == {(f"G{i}", f"G{i + 1}") for i in range(5)} | {("X", "G5")}
    assert all(np.sign(weight) == np.sign(true[edge]) for edge, weight in found.items())


def test_a_seen_edit_at_an_unseen_time_is_closer_than_persistence(fitted, world):
    truth, before = (np.array([world.mean(asked(name, hours)) for name in EDITED]) for hours in (24.0, 12.0))
    predicted = fitted.predict_conditions([asked(name, 24.0) for name in EDITED])
    error, persistence = (np.abs((x - truth) / UNIT).mean() for x in (predicted.mean, before))
    assert error < 0.3 * persistence
    assert ((predicted.lower <= truth) & (truth <= predicted.upper)).mean() > 0.8


def test_an_unseen_combination_of_seen_edits_is_closer_than_the_sum_of_nothing(fitted, world):
    pair = asked("G1+G4", 24.0)
    truth = world.mean(pair)
    assert np.abs((fitted.predict_conditions([pair]).mean[0] - truth) / UNIT).mean() < 0.05
    assert np.abs((truth - UNIT) / UNIT).mean() > 0.2


def test_unedited_cells_are_predicted_where_they_are(fitted):
    predicted = fitted.predict_conditions([asked("control", 24.0), asked("control", np.inf)]).mean
    np.testing.assert_allclose(predicted, np.stack([UNIT] * 2), rtol=0.05)


def test_the_same_seed_gives_the_same_model_and_another_seed_another(fitted, data):
    again = fit(data, QUICK, targets=("Y",))
    assert all(np.array_equal(a, b) for a, b in zip(arrays(fitted), arrays(again), strict=True))
    other = fit(data, replace(QUICK, seed=1), targets=("Y",))
    assert not all(np.array_equal(a, b) for a, b in zip(arrays(fitted), arrays(other), strict=True))


def test_the_record_says_what_was_chosen_and_how_the_loss_fell(fitted):
    record = fitted.record
    assert record.chosen.strength == "none"
    assert record.chosen.sparsity == 0.02
    assert record.selection["chosen"].tolist() == [True]
    assert set(record.history["term"]) == set(TERMS)
    assert len(record.history) == QUICK.n_members * QUICK.n_steps * len(TERMS)
    data_loss = record.history.query("term == 'data' and run == 0")["value"].to_numpy()
    assert data_loss[-1] < 0.05 * data_loss[0]
    assert record.notes[0] == "No steady-state loss was asked for."


def test_progress_names_what_is_done_and_reaches_its_end(data):
    seen: list[tuple[str, int, int]] = []
    fit(data, QUICK, targets=("Y",), progress=lambda *args: seen.append(args))
    assert seen == [
        ("inner validation, none", 100, 200),
        ("inner validation, none", 200, 200),
        ("final fit", 100, 400),
        ("final fit", 200, 400),
        ("final fit", 300, 400),
        ("final fit", 400, 400),
    ]


def test_a_fit_goes_on_from_its_own_checkpoint_and_clears_what_a_killed_process_left(fitted, data, tmp_path):
    first = fit(data, QUICK, targets=("Y",), checkpoint=tmp_path)
    (tmp_path / ".final_fit-0.4321.npz").write_bytes(b"PK half of it")
    done = []
    again = fit(data, QUICK, targets=("Y",), checkpoint=tmp_path, progress=lambda *args: done.append(args))
    assert done == []
    for model in (first, again):
        assert all(np.array_equal(a, b) for a, b in zip(arrays(fitted), arrays(model), strict=True))
    assert not list(tmp_path.glob(".*"))


def test_behind_a_mask_a_weaker_penalty_is_validated_too_and_the_record_has_the_settings_asked_for(data):
    config = replace(QUICK, sparsities=(0.03, 0.3), n_steps=9, validation_steps=6)
    model = fit(data, config, prior=PriorNetwork(edges=pd.DataFrame({"source": ["G0"], "target": ["G1"]}), use="mask"))
    assert model.record.config == config and model.record.history["step"].max() + 1 == 12
    assert set(model.record.selection["sparsity"].round(4)) == {0.01, 0.03, 0.3}


def test_a_checkpoint_of_another_fit_is_refused(data, world, tmp_path):
    fit(data, QUICK, targets=("Y",), checkpoint=tmp_path)
    prior = PriorNetwork(edges=pd.DataFrame({"source": ["G0"], "target": ["G1"]}))
    others = (
        (linear_data(world, noise=0.01), QUICK, {}),
        (data, replace(QUICK, seed=1), {}),
        (data, QUICK, {"prior": prior}),
        (data, QUICK, {"prior": replace(prior, use="mask")}),
        (data.subset(np.arange(23)), QUICK, {}),
    )
    for other, config, more in others:
        with pytest.raises(
            ConfigError, match="holds a fit of other data or settings; choose another folder or remove it"
        ):
            fit(other, config, targets=("Y",), checkpoint=tmp_path, **more)


def test_fewer_than_two_conditions_are_refused():
    with pytest.raises(DataError, match="1 conditions; a fit needs at least two"):
        fit(dataset([condition("control", 24)], np.ones((1, 3))))


def test_a_steady_state_loss_is_refused_where_unedited_cells_differentiate(world):
    with pytest.raises(ConfigError, match="declared differentiating, so unedited cells are not stationary: use 'none'"):
        fit(linear_data(world, differentiating=True), replace(QUICK, steady_state="point"))


def test_a_steady_state_loss_is_refused_without_controls(world):
    no_controls = [asked(name, 12.0) for name in SEEN]
    with pytest.raises(ConfigError, match="no unedited cells in the maintenance medium: name them with control="):
        fit(linear_data(world, conditions=no_controls), replace(QUICK, steady_state="mean"))


def test_moment_is_refused_without_counts_of_single_cells(data):
    with pytest.raises(
        ConfigError, match="'moment' needs counts of single control cells: use 'point', 'mean' or 'none'"
    ):
        fit(data, replace(QUICK, steady_state="moment"))


TINY = {"n_steps": 10, "validation_steps": 10, "checkpoint_every": 10}


@pytest.fixture(scope="module")
def wandering(world):
    """A Neural ODE of cells whose controls are declared to move."""
    return fit(linear_data(world, differentiating=True), replace(QUICK, law="neural", steady_state="auto", **TINY))


def test_where_unedited_cells_differentiate_the_start_is_learned_and_nothing_is_steady(wandering):
    assert np.asarray(wandering.fit.members.log_initial).shape == (QUICK.n_members, len(UNIT))
    assert np.abs(np.asarray(wandering.fit.members.log_initial)).max() > 0
    assert wandering.record.chosen.strength == "none"
    assert "declared differentiating" in wandering.record.notes[0]
    assert wandering.name == "Neural ODE"


def test_a_model_whose_start_is_learned_survives_its_folder(wandering, tmp_path):
    wandering.save(tmp_path / "model")
    again = load(tmp_path / "model")
    query = [asked("G0", 24.0), asked("control", 0.0), asked("control", np.inf, medium="M")]
    np.testing.assert_array_equal(again.predict_conditions(query).mean, wandering.predict_conditions(query).mean)
    assert again.network().empty


def test_in_vivo_nothing_is_steady_and_the_notes_say_why(world):
    data = linear_data(world)
    data = replace(data, system=replace(data.system, environment="in-vivo"))
    settings = replace(QUICK, law="neural", **TINY)
    with pytest.raises(ConfigError, match="'point': the system is declared in-vivo, and transplantation breaks"):
        fit(data, replace(settings, steady_state="point"))
    model = fit(data, replace(settings, steady_state="auto"))
    assert model.record.chosen.strength == "none"
    assert model.record.notes[:1] == (
        "The system is declared in-vivo, and transplantation breaks the stationarity of unedited cells: "
        "no steady-state loss is used.",
    )


def test_founders_observed_at_time_zero_are_where_experiments_start(world, tmp_path):
    data = linear_data(
        world, conditions=[asked("control", 0.0, medium="M"), *linear_conditions()], differentiating=True
    )
    mean = data.mean.copy()
    mean[0] *= np.linspace(0.5, 2.0, len(UNIT))
    data = replace(data, mean=mean, system=replace(data.system, start="observed"))
    model = fit(data, replace(QUICK, law="neural", **TINY))
    start = model.predict_conditions([asked("G6", 0.0)]).mean[0]
    np.testing.assert_allclose(start, mean[0], rtol=1e-4)
    model.save(tmp_path / "model")
    np.testing.assert_array_equal(load(tmp_path / "model").predict_conditions([asked("G6", 0.0)]).mean[0], start)


@pytest.fixture(scope="module")
def validated(world):
    """A mechanism for which inner validation may choose the steady-state loss."""
    data = linear_data(world, control_moments=control_moments(np.diag(np.full(len(UNIT), 0.05))))
    return fit(data, replace(QUICK, steady_state="auto", latent_factors=(1,), sparsities=(0.02, 0.1)), targets=("Y",))


def test_auto_lets_inner_validation_choose_between_none_and_moment(validated):
    table = validated.record.selection
    assert table["strength"].tolist()[:2] == ["none", "none"]
    assert set(table["strength"][2:]) == {"moment"}
    assert set(table["n_factors"][2:]) == {1}
    assert table["chosen"].sum() == 1
    assert table.loc[table["chosen"], "error"].item() == table["error"].min()
    assert np.isfinite(table["error"]).all()


def test_the_chosen_steady_state_loss_is_stated_with_its_assumption(validated):
    is_used = validated.record.chosen.strength != "none"
    assert (STATIONARY_CONTROLS in validated.assumptions) == is_used
    assert ("Inner validation chose" in validated.record.notes[0]) == is_used


def test_auto_says_that_controls_without_counts_leave_moment_untried(data):
    model = fit(data, replace(QUICK, steady_state="auto"), targets=("Y",))
    assert model.record.selection["strength"].tolist() == ["none"]
    assert "come without counts" in model.record.notes[0]


def test_one_edited_gene_is_validated_on_its_times_and_controls_alone_can_be_fitted(world):
    # The same genes, times and targets as in `fitted`, so that its compiled program serves.
    controls = [asked("control", hours) for hours in TIMES]
    one_edit = linear_data(world, conditions=[*controls, *(asked("G0", hours) for hours in TIMES)])
    one = fit(one_edit, QUICK, targets=("X", "Y"))
    assert np.isfinite(one.record.selection["error"]).all()
    none = fit(linear_data(world, conditions=controls), QUICK, targets=("X", "Y"))
    np.testing.assert_allclose(none.predict_conditions(controls).mean, np.stack([UNIT] * 3), rtol=1e-4)


def test_after_a_single_harvest_half_of_what_the_law_says_of_the_time_since_is_added_to_what_was_measured(world):
    before, after = asked("G0", 24.0), asked("G0", 48.0)
    conditions = [asked(name, 24.0) for name in ("control", "G0", "G1", "G2")]
    model = fit(linear_data(world, conditions=conditions), QUICK, targets=("X", "Y"))
    first = model.fit.residual[1]
    by_law = model.by_law([before, after])
    found = model.predict_conditions([after]).mean[0]
    # with one harvest of unedited cells their residual is the same at all times
    np.testing.assert_allclose(found, 0.5 * (by_law[0] + by_law[1]) + first, rtol=1e-5, atol=1e-6)
    assert np.abs(by_law[1] - by_law[0]).max() > 0.1


def test_a_fit_that_is_refused_is_refused_before_anything_is_fitted(data):
    with pytest.raises(ConfigError):
        fit(data, replace(QUICK, steady_state="moment"), progress=lambda *done: pytest.fail(f"fitted {done}"))


def test_a_query_may_edit_a_gene_that_is_neither_measured_nor_edited_if_it_was_announced(fitted):
    unknown = parse_experiment("edit Y > wait 24h > harvest").conditions["harvest"]
    assert np.isfinite(fitted.predict_conditions([unknown]).mean).all()
    assert "Y" in fitted.roster.targets


def test_inner_validation_lets_a_true_table_of_wiring_count_for_more_than_a_false_one(world, tmp_path):
    ring = [(f"G{i}", f"G{(i + 1) % N_GENES}", "true") for i in range(N_GENES)]
    false = [(f"G{i}", f"G{(i + 3) % N_GENES}", "false") for i in range(N_GENES)]
    edges = pd.DataFrame([*ring, *false], columns=["source", "target", "known_from"])
    config = replace(QUICK, sparsities=(0.1,), table_counts=(0.0, 1.0), n_steps=100, validation_steps=100)
    known = {"prior": PriorNetwork(edges=edges, strength=10.0), "checkpoint": tmp_path}
    model = fit(linear_data(world, noise=0.05), config, **known)
    errors = dict(zip(model.record.selection["tables"], model.record.selection["error"], strict=True))
    assert set(errors) == {"1", "0; 1", "1; 0", "0; 0"}
    assert errors["1; 0"] < errors["0; 1"]
    assert model.record.chosen.tables in {(), (1.0, 0.0)}
    assert any("true" in note and "false" in note for note in model.record.notes)
    again = fit(
        linear_data(world, noise=0.05), config, **known
    )  # from checkpoints: no set of runs is taken for another
    pd.testing.assert_frame_equal(again.record.selection, model.record.selection)
    assert all(np.array_equal(a, b) for a, b in zip(arrays(again), arrays(model), strict=True))


def test_where_no_unedited_cells_were_measured_an_unseen_edit_is_what_the_others_have_in_common_at_that_time():
    """Edits that share two times' levels and else are noise: the mean of edits at each time, not that of all times nor of the law."""
    rng = np.random.default_rng(0)
    conditions = [condition(name, hours) for name in EDITED for hours in (12.0, 24.0)]
    level = {hours: rng.uniform(2.0, 6.0, N_GENES) for hours in (12.0, 24.0)}
    mean = np.array([level[c.hours] for c in conditions]) * (1 + 0.05 * rng.normal(size=(len(conditions), N_GENES)))
    data = dataset(conditions, mean, standard_error=0.05, differentiating=True)
    model = fit(data, replace(QUICK, n_steps=20, validation_steps=20, checkpoint_every=20), targets=("Z",))
    found = model.predict_conditions([condition("Z", hours) for hours in (12.0, 24.0)]).mean
    together = np.array([mean[data.hours == hours].mean(axis=0) for hours in (12.0, 24.0)])
    between = np.abs(together - together.mean(axis=0)).mean()
    assert np.abs(found - together).mean() < 0.1 * between
