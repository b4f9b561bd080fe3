"""Fits that are killed at random moments and go on."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

KILLS = 10

# Fits as told by lines of "checkpoint folder, model folder", each in a process of its own. Forked before JAX has started
# any thread, so that not every fit has to import everything; compiled programs are shared through JAX's cache on disk.
_SERVER = """
import os, sys, traceback, warnings
from dataclasses import replace
from small_fits import QUICK, linear_data
from semimech.fit import fit

def run(checkpoint, folder):
    config = replace(QUICK, checkpoint_every=4)
    progress = lambda label, done, total: print("done", label, done, flush=True)
    fit(linear_data(noise=0.05), config, targets=("Y",), checkpoint=checkpoint, progress=progress).save(folder)

warnings.simplefilter("ignore")
for line in sys.stdin:
    child = os.fork()
    if child == 0:
        status = 1
        try:
            run(*line.split())
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)
    print("child", child, flush=True)
    print("ended", os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


class Server:
    """A process that fits in child processes, one at a time."""

    def __init__(self, root: Path, cache: Path, *, hash_seed: int) -> None:
        settings = {
            "PYTHONPATH": os.pathsep.join([str(root / "src"), str(root / "tests")]),
            "PYTHONHASHSEED": str(hash_seed),
            "JAX_COMPILATION_CACHE_DIR": str(cache),
            "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
            "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
        }
        self.process = subprocess.Popen(
            [sys.executable, "-c", _SERVER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | settings,
        )

    def start(self, checkpoint: Path, folder: Path) -> int:
        """The process that fits."""
        self.process.stdin.write(f"{checkpoint} {folder}\n")
        self.process.stdin.flush()
        return int(self.read("child"))

    def read(self, *kinds: str) -> str:
        """The rest of the next line of one of these kinds, which may stand behind a line that was cut short when its process was killed."""
        for line in self.process.stdout:
            found = re.search(rf"({'|'.join(kinds)}) (.*)$", line.strip())
            if found:
                return found[2]
        pytest.fail("the process that fits has ended")

    def close(self) -> None:
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait(timeout=60)


@pytest.fixture(scope="module")
def cache(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("compiled")


@pytest.fixture(scope="module")
def uninterrupted(root, cache, tmp_path_factory) -> Path:
    """The model of a fit that nobody disturbed, in another process."""
    folder = tmp_path_factory.mktemp("uninterrupted")
    server = Server(root, cache, hash_seed=1)
    server.start(folder / "checkpoint", folder / "model")
    assert server.read("ended") == "0"
    server.close()
    return folder / "model"


@pytest.fixture
def server(root, cache, uninterrupted) -> Iterator[Server]:
    server = Server(root, cache, hash_seed=2)
    yield server
    server.close()


def stored(file: Path) -> dict[str, bytes]:
    with np.load(file, allow_pickle=False) as archive:
        return {name: archive[name].tobytes() for name in archive.files}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are not forked here")
def test_a_fit_killed_at_random_moments_goes_on_to_the_same_bits(server, uninterrupted, tmp_path):
    rng = np.random.default_rng(0)
    checkpoint, model = tmp_path / "checkpoint", tmp_path / "model"
    for attempt in range(KILLS):
        child = server.start(checkpoint, model)
        if attempt % 5 == 4:  # while it starts, reads its checkpoint or compiles
            time.sleep(rng.uniform(0.0, 2.0))
        else:  # some steps after a checkpoint, or in the middle of writing one
            for _ in range(rng.integers(1, 4)):
                assert server.read("done", "ended") != "0", "it ended before it was killed"
            time.sleep(rng.uniform(0.0, 0.02))
        os.kill(child, signal.SIGKILL)
        assert int(server.read("ended")) == -signal.SIGKILL, "it ended before it was killed"
        assert not model.exists()
        for file in checkpoint.glob("[!.]*.npz"):
            assert stored(file), f"{file.name} is not whole"
    server.start(checkpoint, model)
    assert server.read("ended") == "0"
    assert stored(model / "arrays.npz") == stored(uninterrupted / "arrays.npz")
    assert (model / "history.tsv").read_bytes() == (uninterrupted / "history.tsv").read_bytes()
    assert sorted(file.name for file in checkpoint.iterdir()) == [
        "final_fit-0.npz",
        "final_fit-1.npz",
        "fit.toml",
        "inner_validation,_none-0.npz",
    ]
