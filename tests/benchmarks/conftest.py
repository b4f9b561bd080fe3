"""Makes the scripts importable however the tests are started, and finds the real data."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))


@pytest.fixture(scope="session")
def root() -> Path:
    """Folder of the real data."""
    from benchmarks.sets import shared_data

    folder = shared_data()
    if folder is None:
        pytest.skip("no real data: set SEMIMECH_SHARED_DATA to their folder")
    return folder
