from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from small_fits import QUICK

from semimech._errors import ConfigError
from semimech.fit import fit

HERE = Path(__file__).resolve().parent
SCRIPT = """
import sys
from dataclasses import replace
import jax, numpy as np
from semimech.fit.candidates import Candidate, run_weights
from semimech.fit.devices import shared_out
from small_fits import QUICK, linear_data, linear_world
from test_large_network import EDGES, PROGRAM, trainings
from semimech.model import PriorNetwork
assert jax.local_device_count() == 2
_, training = trainings(linear_data(linear_world()), PriorNetwork(edges=EDGES))
run = run_weights(Candidate(sparsity=0.02), QUICK, np.ones(24, np.float32), training.problem)
for n in (1, 2):
    program = replace(PROGRAM, config=replace(QUICK, devices=n))
    state = training.run(program, [run], [jax.random.key(0)], n_steps=20, label="devices")
    np.save(f"{sys.argv[1]}/{n}.npy", state.history)
on_two = shared_out(training.problem, 2).plan.stages[0].contexts.activity
assert {shard.data.shape[1] for shard in on_two.addressable_shards} == {on_two.shape[1] // 2}
"""


def test_training_on_two_devices_is_that_on_one(tmp_path):
    environment = os.environ | {
        "XLA_FLAGS": "--xla_force_host_platform_device_count=2",
        "PYTHONPATH": os.pathsep.join([str(HERE), str(HERE.parent), *sys.path]),
    }
    subprocess.run([sys.executable, "-c", SCRIPT, tmp_path], env=environment, check=True)
    one, two = (np.load(tmp_path / f"{n}.npy") for n in (1, 2))
    np.testing.assert_allclose(
        two[:, :5], one[:, :5], rtol=1e-3, atol=1e-5
    )  # later Adam magnifies what rounding leaves
    assert one[0, 19, 0] < one[0, 0, 0]


def test_more_devices_than_there_are_are_refused(data):
    with pytest.raises(ConfigError, match="devices = 64, but JAX sees 1 "):
        fit(data, replace(QUICK, devices=64))
