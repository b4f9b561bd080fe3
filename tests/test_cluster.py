"""Work on a Dask cluster: two processes of this machine, one of which is killed at times."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from small_fits import QUICK, linear_data
from small_screens import screen

from semimech._errors import ConfigError
from semimech.cli.cluster import cluster
from semimech.data import Split, passes, read, stored
from semimech.data.split import unseen_edit
from semimech.evaluate import Known, sweep

distributed = pytest.importorskip("distributed")
pytestmark = [
    pytest.mark.xdist_group("cluster"),
    # Dask tells of workers that end, and of connections that they leave open.
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"),
]

FAST = replace(QUICK, n_steps=10, validation_steps=10, checkpoint_every=10, n_members=1, pooling="none")
ARMS = {"sparse": FAST, "dense": replace(FAST, sparsities=(0.001,))}


@pytest.fixture(scope="module")
def client() -> Iterator[distributed.Client]:
    with cluster(None, 2) as client:
        yield client


def killer(client: distributed.Client) -> Callable[..., None]:
    """What kills a worker when it is first called."""
    pids = client.run(os.getpid)
    left = [next(iter(pids.values()))]

    def kill(*_: object) -> None:
        while left:
            os.kill(left.pop(), signal.SIGKILL)

    return kill


@pytest.fixture(scope="module")
def known() -> Known:
    return Known(dataset=linear_data(noise=0.05, fingerprint="linear"))


@pytest.fixture(scope="module")
def splits(known) -> dict[int, tuple[Split, ...]]:
    return {seed: unseen_edit(known.dataset, n_folds=2, seed=seed) for seed in (0,)}


@pytest.fixture(scope="module")
def alone(known, splits, tmp_path_factory) -> tuple[pd.DataFrame, Path]:
    """The sweep in this process, and its folder."""
    folder = tmp_path_factory.mktemp("alone")
    return sweep(known, ARMS, splits, folder), folder


def test_a_file_streamed_on_two_workers_gives_the_digits_that_one_process_gives(client, tmp_path, monkeypatch):
    path = tmp_path / "screen.h5ad"
    screen(batches=["a", "b"], days=(2, 3), n=40, depth=30.0).write_h5ad(path)
    monkeypatch.setattr(stored, "BLOCK", 400)
    monkeypatch.setattr(passes, "PART", 1)
    monkeypatch.setattr(passes, "VALUES_PER_SUM", 0)
    told: list[tuple[int, int]] = []
    here = read(path, streamed=True, progress=lambda *done: told.append(done))
    assert len(told) > 4
    there = read(path, streamed=True, executor=client.get_executor())
    for name in ("mean", "standard_error", "halves"):
        np.testing.assert_array_equal(getattr(here, name), getattr(there, name), err_msg=name)
    np.testing.assert_array_equal(here.control_moments.covariance, there.control_moments.covariance)
    assert here.fingerprint == there.fingerprint


def test_a_sweep_on_two_workers_of_which_one_is_killed_gives_the_scores_of_one_process(
    client, known, splits, alone, tmp_path
):
    before = set(client.run(os.getpid).values())
    scores = sweep(known, ARMS, splits, tmp_path, client=client, say=killer(client))
    client.wait_for_workers(2, timeout=30)
    assert before - set(client.run(os.getpid).values())
    pd.testing.assert_frame_equal(scores, alone[0], rtol=1e-4, atol=1e-6)
    assert {path.name for path in tmp_path.iterdir()} == {path.name for path in alone[1].iterdir()}


def test_a_sweep_does_only_the_fits_that_are_missing(known, splits, alone):
    scores, folder = alone
    gone = sorted(folder.iterdir())[3]
    content = gone.read_bytes()
    gone.unlink()
    said: list[str] = []
    again = sweep(known, ARMS, splits, folder, say=said.append)
    pd.testing.assert_frame_equal(again, scores)
    assert said == [f"4 of 4 fits: {gone.stem}"] and gone.read_bytes() == content


def test_every_arm_is_scored_on_every_held_out_condition_once(alone, known, splits):
    scores, _ = alone
    wanted = {(seed, split.fold, row) for seed, held in splits.items() for split in held for row in split.test}
    for arm in (*ARMS, "replicate ceiling"):
        mse = scores[(scores["predictor"] == arm) & (scores["metric"] == "mse") & (scores["scope"] == "all")]
        assert not mse.duplicated(["seed", "fold", "condition"]).any()
        assert arm not in ARMS or len(mse) == len(wanted)


def test_other_data_or_settings_are_other_fits(known, splits):
    from semimech.evaluate.many_fits import Job

    job = Job(arm="a", config=FAST, splits=splits[0][:1])
    other = replace(known, dataset=replace(known.dataset, fingerprint="other"))
    names = [
        job.name(known),
        job.name(other),
        replace(job, config=replace(FAST, sparsities=(0.5,))).name(known),
        replace(job, splits=splits[0][1:2]).name(known),
        replace(job, config=replace(FAST, seed=1)).name(known),
    ]
    assert len(set(names)) == len(names) and job.name(known) == names[0]


def test_a_sweep_without_settings_is_refused(known, splits, tmp_path):
    with pytest.raises(ConfigError, match="name settings"):
        sweep(known, {}, splits, tmp_path)


def test_a_cluster_that_cannot_be_had_is_told_with_its_mend(monkeypatch):
    with pytest.raises(ConfigError, match="one of the two"), cluster("tcp://localhost:1", 2):
        pass
    monkeypatch.setattr("semimech.cli.cluster._SECONDS", 1)
    with pytest.raises(ConfigError, match="dask scheduler"), cluster("tcp://localhost:1"):
        pass
    monkeypatch.setattr("semimech.cli.cluster.find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"semimech\[cluster\]"), cluster(None, 2):
        pass
