"""What was done: frozen records of ordered protocols."""

from semimech.experiment.experiment import CONTROL, Condition, Context, Experiment, Period, as_experiment
from semimech.experiment.steps import EDIT_KINDS, Edit, EditKind, Harvest, SetMedia, Step, Wait
from semimech.experiment.tables import experiments_from_table, experiments_to_table, read_experiments, write_experiments
from semimech.experiment.text import format_experiment, parse_experiment

__all__ = [
    "CONTROL",
    "EDIT_KINDS",
    "Condition",
    "Context",
    "Edit",
    "EditKind",
    "Experiment",
    "Harvest",
    "Period",
    "SetMedia",
    "Step",
    "Wait",
    "as_experiment",
    "experiments_from_table",
    "experiments_to_table",
    "format_experiment",
    "parse_experiment",
    "read_experiments",
    "write_experiments",
]
