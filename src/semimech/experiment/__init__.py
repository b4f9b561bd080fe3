"""What was done: frozen records of ordered protocols."""

from semimech.experiment.compounds import Compound, resolve_doses
from semimech.experiment.experiment import CONTROL, Condition, Context, Experiment, Period, as_experiment
from semimech.experiment.onset import effective_history, remaining_history
from semimech.experiment.steps import (
    EDIT_KINDS,
    Dose,
    Edit,
    EditKind,
    Harvest,
    Passage,
    SetMedia,
    Step,
    Transplant,
    Wait,
)
from semimech.experiment.tables import experiments_from_table, experiments_to_table, read_experiments, write_experiments
from semimech.experiment.text import format_experiment, parse_experiment

__all__ = [
    "CONTROL",
    "EDIT_KINDS",
    "Compound",
    "Condition",
    "Context",
    "Dose",
    "Edit",
    "EditKind",
    "Experiment",
    "Harvest",
    "Passage",
    "Period",
    "SetMedia",
    "Step",
    "Transplant",
    "Wait",
    "as_experiment",
    "effective_history",
    "experiments_from_table",
    "experiments_to_table",
    "format_experiment",
    "parse_experiment",
    "read_experiments",
    "remaining_history",
    "resolve_doses",
    "write_experiments",
]
