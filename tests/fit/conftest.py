"""Fits that several tests look at."""

from __future__ import annotations

import pytest
from small_fits import QUICK, LinearWorld, linear_data, linear_world

from semimech.data import Dataset
from semimech.fit import FittedModel, fit


@pytest.fixture(scope="session")
def world() -> LinearWorld:
    return linear_world()


@pytest.fixture(scope="session")
def data(world) -> Dataset:
    return linear_data(world)


@pytest.fixture(scope="session")
def fitted(data) -> FittedModel:
    """A semi-mechanistic model of the linear world; queries may also edit the unknown gene ``Y``."""
    return fit(data, QUICK, targets=("Y",))
