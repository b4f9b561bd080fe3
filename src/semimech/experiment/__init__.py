"""What was done: frozen records of ordered protocols."""

from semimech.experiment.compound_tables import (
    compounds_from_table,
    compounds_to_table,
    read_compounds,
    write_compounds,
)
from semimech.experiment.compounds import Compound, resolve_doses
from semimech.experiment.experiment import CONTROL, Condition, Context, Experiment, Period, as_experiment
from semimech.experiment.onset import effective_history, remaining_history
from semimech.experiment.steps import (
    CONCENTRATION_UNITS,
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
    "CONCENTRATION_UNITS",
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
    "compounds_from_table",
    "compounds_to_table",
    "effective_history",
    "experiments_from_table",
    "experiments_to_table",
    "format_experiment",
    "parse_experiment",
    "read_compounds",
    "read_experiments",
    "remaining_history",
    "resolve_doses",
    "write_compounds",
    "write_experiments",
]
