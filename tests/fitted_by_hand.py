"""Fitted models made by hand, of laws that are known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
from small_fits import QUICK
from small_laws import N_GENES, ROSTER, UNIT, ensemble

from semimech.data import CellSystem
from semimech.data.scale import Scale
from semimech.experiment import Condition
from semimech.fit import FittedModel
from semimech.fit.borrow import NO_SOURCES
from semimech.fit.calibrate import Calibration
from semimech.fit.candidates import Candidate
from semimech.fit.donors import nothing_lent
from semimech.fit.record import Fit, Record, Result


def by_hand(
    *laws,
    scale: Scale | None = None,
    training: Sequence[Condition] = (),
    residual: np.ndarray | None = None,
    carry_over: float = 0.0,
    compose: tuple[float, ...] = (1.0, 0.0, 0.0, 0.0),
    trust: tuple[float, ...] = (1.0, 1.0, 1.0, 0.0, 0.0, 0.0),
    max_step_hours: float = 0.05,
) -> FittedModel:
    """A fitted model of these laws, one for each member, that takes short steps."""
    width = Calibration(
        gene=np.ones(N_GENES), slope=np.zeros(()), doubt=np.zeros(()), own=np.ones(()), factor=np.ones(())
    )
    residual = np.zeros((len(training), N_GENES)) if residual is None else residual
    fit = Fit(
        members=ensemble(*laws, scale=scale),
        control=UNIT,
        residual=residual,
        missed=(residual**2).sum(axis=0) / max(len(residual), 1),
        carry_over=np.array([[carry_over, carry_over, 0.0]] * 3),
        change=np.zeros((len(training), N_GENES)),
        compose=np.array(compose),
        trust=np.array([*trust, 0.0, 0.0, 0.0][:6]),
        lent=nothing_lent(N_GENES),
        edges=np.zeros((2, 0), np.int32),
        seen=width,
        late=width,
        later=width,
        parts=width,
        unseen=width,
    )
    record = Record(
        config=replace(QUICK, n_members=len(laws), max_step_hours=max_step_hours),
        chosen=Candidate(),
        selection=pd.DataFrame(),
        history=pd.DataFrame(),
        likeness=NO_SOURCES,
        dataset="by hand",
        fingerprint="",
    )
    return FittedModel(
        Result(
            fit=fit,
            roster=ROSTER,
            system=CellSystem(),
            var_names=ROSTER.genes,
            training=tuple(training),
            record=record,
        )
    )
