"""What a finished fit consists of: its numbers, its names, and how it came to be."""

from __future__ import annotations

from dataclasses import dataclass

import equinox as eqx
import numpy as np
import pandas as pd
from jaxtyping import Float, Int

from semimech.assumptions.diagnostics import Finding
from semimech.data import CellSystem
from semimech.experiment import Condition
from semimech.fit.calibrate import Calibration
from semimech.fit.candidates import Candidate
from semimech.fit.config import FitConfig
from semimech.fit.donors import Lent
from semimech.model import CellModel, Roster


class Fit(eqx.Module):
    """The numbers of a fitted model: what is saved, and all that is needed to predict.

    Parameters
    ----------
    members
        Models of the ensemble, arrays stacked over members.
    control
        Observed mean of unedited cells.
    residual
        Observed minus fitted mean of each training condition, as far as it stands out from noise
        (`semimech.fit.held_out.shrunk`).
    missed
        Mean square of the same before that.
    carry_over
        For what was seen, at times between its harvests, after the last, and after the last of all that was edited: the share of the residual of unedited cells
        that is added, of what the residual of the edited ones has beyond it, and a third one. Between harvests that is of the way from there to the measured change, linear in time; after the last, of what the law says
        would have changed since, taken back: all three at 1 are interpolation, and persistence.
    change
        Observed change of each training condition against matched controls.
    compose
        For what was seen in parts only: the share of what the law says beyond their sum, of the residual of unedited
        cells, of those of the parts, and of what all conditions that carry the edits say beyond that (`semimech.fit.compose`).
    trust
        For edits that were not trained on: the share of the residual of unedited cells, how far the prediction goes from no edit
        to an edit of an unknown gene, and from there to its own, and how much of what is borrowed is added
        (`semimech.fit.pooling.Nested`), from inner validation.
    lent
        What they borrow (`semimech.fit.donors`).
    edges
        Rows and columns of the edges that a prior network knows.
    seen, late, later, parts, unseen
        Calibration of intervals: for what was seen, at times between its harvests, after the last, and after the last of all; for what
        was seen in parts; for edits that were not trained on.
    """

    members: CellModel
    control: Float[np.ndarray, " gene"]
    residual: Float[np.ndarray, "condition gene"]
    missed: Float[np.ndarray, " gene"]
    carry_over: Float[np.ndarray, "3 3"]
    change: Float[np.ndarray, "condition gene"]
    compose: Float[np.ndarray, 4]
    trust: Float[np.ndarray, 6]
    lent: Lent
    edges: Int[np.ndarray, "2 edge"]
    seen: Calibration
    late: Calibration
    later: Calibration
    parts: Calibration
    unseen: Calibration


@dataclass(frozen=True, kw_only=True)
class Record:
    """How a model came to be.

    Parameters
    ----------
    config
        Settings.
    chosen
        What inner validation chose.
    selection
        Every candidate with its held-out error.
    history
        Loss terms by step and member: columns ``run, step, term, value``.
    likeness
        Sources of likeness between edits and what each was worth (`semimech.fit.borrow.Borrowing`).
    dataset, fingerprint
        Name and hash of the training data.
    notes
        What a reader of the results should know.
    findings
        What the training data say of the model's assumptions.
    """

    config: FitConfig
    chosen: Candidate
    selection: pd.DataFrame
    history: pd.DataFrame
    likeness: pd.DataFrame
    dataset: str
    fingerprint: str
    notes: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Result:
    """Everything that a fitted model is made of, and that is saved.

    Parameters
    ----------
    fit
        Numbers.
    roster
        Names of genes, targets and media.
    system
        What was declared about the cells.
    var_names
        Names of the genes in the file they were read from.
    training
        Training conditions, one for each row of ``fit.residual``.
    record
        How the model came to be.
    kin
        Genes of which it is known how much they are like edits of training, one for each row of ``fit.lent.likeness``.
    """

    fit: Fit
    roster: Roster
    system: CellSystem
    var_names: tuple[str, ...]
    training: tuple[Condition, ...]
    record: Record
    kin: tuple[str, ...] = ()
