"""The steps behind the commands: a data set and an output folder in, files that the next step reads out."""

from semimech.pipeline.budgeting import budget_errors
from semimech.pipeline.modelling import fit_model, load_model, model_folder, remove_checkpoints
from semimech.pipeline.reporting import make_report
from semimech.pipeline.rivals import fit_rivals
from semimech.pipeline.scoring import evaluate_model, hold_out
from semimech.pipeline.sensitivity import move_assumptions, refuse_unknown
from semimech.pipeline.source import Source, read_source

__all__ = [
    "Source",
    "budget_errors",
    "evaluate_model",
    "fit_model",
    "fit_rivals",
    "hold_out",
    "load_model",
    "make_report",
    "model_folder",
    "move_assumptions",
    "read_source",
    "refuse_unknown",
    "remove_checkpoints",
]
