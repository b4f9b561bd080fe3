"""What a fitted model is called, and what it takes for granted."""

from __future__ import annotations

import pandas as pd

from semimech.assumptions import Assumption
from semimech.assumptions.catalogue import (
    ALIKE_EDITS,
    BATCH_BALANCED,
    DEPTH_INDEPENDENT,
    FULL_EFFICACY,
    INSTANTANEOUS,
    KNOWN_WIRING,
    NO_CELL_CYCLE,
    NO_INTERACTION,
    NO_SELECTION,
    STATIONARY_CONTROLS,
)
from semimech.fit.candidates import Candidate
from semimech.fit.config import FitConfig
from semimech.fit.record import Record


def model_name(record: Record) -> str:
    """Name in tables."""
    return "semi-mechanistic" if record.config.law == "semi-mechanistic" else "Neural ODE"


def model_assumptions(config: FitConfig, chosen: Candidate, likeness: pd.DataFrame) -> tuple[Assumption, ...]:
    """What a fitted model takes for granted.

    Parameters
    ----------
    config
        Settings.
    chosen
        What inner validation chose.
    likeness
        Sources of likeness between edits, and what each was worth.
    """
    found = [INSTANTANEOUS, FULL_EFFICACY, NO_SELECTION, NO_INTERACTION, NO_CELL_CYCLE, BATCH_BALANCED]
    found.append(DEPTH_INDEPENDENT)
    if config.law == "semi-mechanistic":
        found.append(KNOWN_WIRING)
    if chosen.strength != "none":
        found.append(STATIONARY_CONTROLS)
    if (likeness["strength"] > 0).any():
        found.append(ALIKE_EDITS)
    return tuple(found)
