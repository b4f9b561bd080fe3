"""What training data say of a model's assumptions goes with the fit, its notes, its predictions and its folder."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from benchmarks.audit_worlds import Size, make_screen
from small_fits import QUICK, linear_data

from semimech._h5ad import write_h5ad
from semimech.assumptions import ASSUMPTIONS
from semimech.assumptions.catalogue import BATCH_BALANCED, DEPTH_INDEPENDENT, KNOWN_WIRING, STATIONARY_CONTROLS
from semimech.assumptions.diagnostics import audit_training, violation_note
from semimech.data import Dataset
from semimech.data.files import open_anndata
from semimech.data.read import pool
from semimech.experiment import as_experiment
from semimech.fit import fit, load

SMALL = Size(cells=30, genes=24, edits=4)


@pytest.fixture(scope="module")
def drifting() -> Dataset:
    """Unedited cells move by about one fold between the two times; all else holds."""
    return pool(make_screen(SMALL, seed=1, violated="control stationarity", strength=2.0), name="drifting")


def test_only_assumptions_that_were_asked_and_have_a_diagnostic_are_looked_at(drifting):
    asked = {STATIONARY_CONTROLS, DEPTH_INDEPENDENT, BATCH_BALANCED, KNOWN_WIRING}
    found = {f.assumption: f.verdict for f in audit_training(drifting, asked)}
    assert found == {STATIONARY_CONTROLS: "fails", DEPTH_INDEPENDENT: "holds", BATCH_BALANCED: "holds"}


def test_where_nothing_is_false_nothing_fails():
    data = pool(make_screen(Size(cells=60), seed=7), name="true")
    assert "fails" not in {f.verdict for f in audit_training(data, ASSUMPTIONS)}


def test_means_without_cells_say_nothing():
    assert audit_training(linear_data(), ASSUMPTIONS) == ()


def test_edited_cells_alone_say_nothing(drifting):
    assert audit_training(drifting.subset(~drifting.is_control), ASSUMPTIONS) == ()


def test_a_fit_says_which_assumption_its_data_violate_and_predictions_carry_it(drifting, tmp_path):
    model = fit(drifting, replace(QUICK, n_steps=2, validation_steps=2, checkpoint_every=2, borrowing="none"))
    failing = [f for f in model.findings if f.verdict == "fails"]
    assert [f.assumption for f in failing] == [STATIONARY_CONTROLS]
    assert violation_note(failing[0]) in model.record.notes
    asked = [as_experiment(drifting.conditions[-1], id="asked")]
    model.save(tmp_path / "model")
    write_h5ad(load(tmp_path / "model").predict(asked), tmp_path / "asked.h5ad")
    carried = open_anndata(tmp_path / "asked.h5ad").uns["findings"].set_index("assumption")
    assert carried.loc["control stationarity", "verdict"] == "fails"
    assert carried.loc["control stationarity", "size"] == pytest.approx(failing[0].size)
    assert np.isnan(carried.loc["batch not confounded with edits", "p_value"])


def test_a_note_names_the_assumption_and_what_goes_wrong(drifting):
    note = violation_note(audit_training(drifting, [STATIONARY_CONTROLS])[0])
    assert "control stationarity" in note
    assert STATIONARY_CONTROLS.breaks in note
