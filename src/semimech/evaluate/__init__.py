"""How well predictions do, against measurements, against each other and against the noise."""

from semimech.evaluate.benchmark import BenchmarkResult, Method, baseline_methods, run_benchmark
from semimech.evaluate.ceiling import CEILING
from semimech.evaluate.compare import best_simple_baseline, compare, summarise
from semimech.evaluate.error_budget import ERROR_PARTS, TOTAL, ErrorBudget, error_budget
from semimech.evaluate.many_fits import Known, sweep
from semimech.evaluate.metrics import ERRORS, METRICS
from semimech.evaluate.reference import STRATA, condition_label
from semimech.evaluate.score import ONE_STEP, ROLL_OUT, HeldOut
from semimech.evaluate.sensitivity import Sensitivity, sensitivity
from semimech.evaluate.write import write_scores

__all__ = [
    "CEILING",
    "ERRORS",
    "ERROR_PARTS",
    "METRICS",
    "ONE_STEP",
    "ROLL_OUT",
    "STRATA",
    "TOTAL",
    "BenchmarkResult",
    "ErrorBudget",
    "HeldOut",
    "Known",
    "Method",
    "Sensitivity",
    "baseline_methods",
    "best_simple_baseline",
    "compare",
    "condition_label",
    "error_budget",
    "run_benchmark",
    "sensitivity",
    "summarise",
    "sweep",
    "write_scores",
]
