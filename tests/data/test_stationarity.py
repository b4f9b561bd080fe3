"""Unedited cells that are declared stationary and move are caught; those that do not move are not."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
from small_screens import screen

from semimech.data import check
from semimech.data.stationarity import LEVEL, control_movement

N_GENES, PER_GROUP = 30, 40


def cells(seed, *, move=0.0, batch_effect=1.0, n_batches=2, n_times=3):
    """Normal cells whose genes share half of their variance; means differ between batches and move between times."""
    rng = np.random.default_rng(seed)
    batch, time = (each.ravel() for each in np.indices((n_batches, n_times, PER_GROUP))[:2])
    shared = rng.normal(size=(len(batch), 1)) * np.sqrt(0.5)
    values = shared + np.sqrt(0.5) * rng.normal(size=(len(batch), N_GENES))
    values += batch_effect * rng.normal(size=(n_batches, N_GENES))[batch]
    values += move * np.linspace(-1, 1, n_times)[time][:, None]
    return {"values": values, "batch": batch, "time": time, "rng": rng}


def test_cells_that_do_not_move_are_called_moving_as_seldom_as_the_level_says():
    p_values = np.array([control_movement(**cells(seed)).p_value for seed in range(200)])
    assert (p_values <= 0.01).sum() <= 7  # 2 are expected; 8 or more have a chance of 0.1 %
    assert 0.4 <= (p_values <= 0.5).mean() <= 0.6


def test_the_size_of_a_move_is_that_of_the_means_over_times():
    found = [control_movement(**cells(seed, move=0.5)) for seed in range(20)]
    wanted = 0.5 * np.std([-1, 0, 1])
    assert np.mean([f.size for f in found]) == pytest.approx(wanted, rel=0.1)
    assert max(f.p_value for f in found) <= LEVEL


def test_a_batch_of_one_time_says_nothing():
    made = cells(0, n_times=2)
    confounded = made | {"time": made["batch"]}
    assert control_movement(**confounded) is None
    third = made["batch"] * 0 + 2
    rows = {"values": np.r_[made["values"], made["values"] + 9], "batch": np.r_[made["batch"], third]}
    found = control_movement(**rows, time=np.r_[made["time"], 0 * third], rng=np.random.default_rng(0))
    assert found.n_batches == 2


def moving(shift, **fields):
    """A screen whose unedited cells have more of gene D on the later day."""
    data = screen(n=30, **fields)
    counts = data.X.toarray()
    late = (data.obs["perturbation"] == "control") & (data.obs["day"] == 3)
    counts[late.to_numpy(), 3] += shift
    data.X = sp.csr_matrix(counts)
    return data


def found(data, **keys):
    table = check(data, **keys).set_index("check")
    return table.loc["control stationarity"] if "control stationarity" in table.index else None


def test_moving_controls_are_a_warning_with_the_mend_unless_they_are_declared_to_move():
    caught = found(moving(8))
    assert caught["severity"] == "warning" and "p = 0.001, within 2 of 2 batches" in caught["evidence"]
    assert "differentiating=True" in caught["mend"]
    assert found(moving(8), differentiating=True) is None
    assert found(moving(8), environment="in-vivo") is None
    assert found(moving(0))["severity"] == "ok"


def test_a_design_that_cannot_tell_says_so():
    data = moving(8)
    data.obs["batch"] = data.obs["day"].astype(str)
    assert "cannot tell: no batch has unedited cells at two times" in found(data)["evidence"]
    assert found(screen(n=30, days=(2,))) is None
