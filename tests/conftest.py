"""What every test relies on: checked types and shapes, reproducible examples, and the way to shared data."""

from __future__ import annotations

import os

# A worker to a core: threads of BLAS that wait for each other took two fifths of the time of the checks' tests. Before NumPy comes in.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path

import hypothesis
import jaxtyping
import pytest

# Annotations and array shapes are checked at every call of the package. An int stands for a float, as PEP 484 says.
jaxtyping.install_import_hook("semimech", "beartype.beartype(conf=beartype.BeartypeConf(is_pep484_tower=True))")

hypothesis.settings.register_profile(
    "semimech", deadline=None, derandomize=True, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("semimech")

ROOT = Path(__file__).parent.parent

# Programs are compiled once for all workers and for the commands that tests start, not once in each process.
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(ROOT / ".jax_cache"))
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.3")

# Most of the time of a test is compilation, so programs are compiled with little optimisation: half the time of all. A flag that
# is unknown to XLA ends the process, so they are given to the versions that were tried.
if tuple(int(part) for part in version("jaxlib").split(".")[:2]) in {(0, 10), (0, 11)}:
    os.environ.setdefault(
        "XLA_FLAGS",
        "--xla_cpu_use_fusion_emitters=false --xla_cpu_parallel_codegen_split_count=1 --xla_backend_optimization_level=1",
    )


def pytest_itemcollected(item: pytest.Item) -> None:
    """Tests that share what is long in the making go to one worker, so that it is made once: those of a module, and all of the finished run."""
    made = getattr(item, "_fixtureinfo", None)
    if made is None or item.get_closest_marker("xdist_group"):
        return
    if "finished" in made.names_closure:
        item.add_marker(pytest.mark.xdist_group("finished run"))
    elif any(fixtures[-1].scope == "module" for fixtures in made.name2fixturedefs.values()):
        item.add_marker(pytest.mark.xdist_group(item.location[0]))


@pytest.fixture(scope="session")
def root() -> Path:
    """The root of the repository."""
    return ROOT


@pytest.fixture(scope="session")
def shared_data() -> Callable[[str], Path]:
    """Finds a file of the shared data sets, or skips the test where they are absent."""
    folder = Path(os.environ.get("SEMIMECH_SHARED_DATA", ROOT.parent / "shared" / "data"))

    def find(name: str) -> Path:
        path = folder / name
        if not path.exists():
            pytest.skip(f"{name} is not in the shared data; set SEMIMECH_SHARED_DATA to their folder")
        return path

    return find


@pytest.fixture
def x64() -> Iterator[None]:
    """Double precision in JAX for the length of a test."""
    import jax

    with jax.enable_x64(True):
        yield


@pytest.fixture
def unchecked_types() -> Iterator[None]:
    """No checks of annotations for the length of a test: for what our own errors say to arguments of a wrong type."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)
