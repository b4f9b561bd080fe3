"""The generative model of one experiment."""

from semimech.model.accuracy import accurate_solver, coupled, halving_error
from semimech.model.closure import Moments
from semimech.model.dynamics import (
    AbstractDynamics,
    LinearDynamics,
    MechanisticDynamics,
    NeuralDynamics,
    in_full,
    wiring,
)
from semimech.model.kinship import Kinship, likeness, neighbour_profile, read_complexes, read_embedding
from semimech.model.least_action import LeastAction
from semimech.model.measurement import MeasurementOperator, log_negative_binomial
from semimech.model.model import CellModel, ScaleGrid, member_axis, split_trained
from semimech.model.moments import implied_covariance, jacobian, lyapunov
from semimech.model.network import Edges, Pieces, Programmes, make_edges
from semimech.model.operator import Operator, Protocol, advance_members, protocol_steps
from semimech.model.plan import ContextArrays, Plan, Roster, context_arrays, harvest_times, make_plan
from semimech.model.prior import PriorNetwork, edge_penalty, table_factor
from semimech.model.regulation import (
    AbstractRegulation,
    NeuralMap,
    ResidualRegulation,
    SaturatingRegulation,
    neural_map,
    unwired_regulation,
)
from semimech.model.regulons import merge_regulons, read_regulon
from semimech.model.run import drift_at_rest, run_plan
from semimech.model.scm import LinearSCM, linearise
from semimech.model.settle import settle
from semimech.model.solve import AbstractSolver, AdaptiveSolver, ExponentialSolver
from semimech.model.sparse import rewired, sized, thinned

__all__ = [
    "AbstractDynamics",
    "AbstractRegulation",
    "AbstractSolver",
    "AdaptiveSolver",
    "CellModel",
    "ContextArrays",
    "Edges",
    "ExponentialSolver",
    "Kinship",
    "LeastAction",
    "LinearDynamics",
    "LinearSCM",
    "MeasurementOperator",
    "MechanisticDynamics",
    "Moments",
    "NeuralDynamics",
    "NeuralMap",
    "Operator",
    "Pieces",
    "Plan",
    "PriorNetwork",
    "Programmes",
    "Protocol",
    "ResidualRegulation",
    "Roster",
    "SaturatingRegulation",
    "ScaleGrid",
    "accurate_solver",
    "advance_members",
    "context_arrays",
    "coupled",
    "drift_at_rest",
    "edge_penalty",
    "table_factor",
    "halving_error",
    "implied_covariance",
    "in_full",
    "jacobian",
    "likeness",
    "linearise",
    "log_negative_binomial",
    "lyapunov",
    "make_edges",
    "harvest_times",
    "make_plan",
    "member_axis",
    "merge_regulons",
    "neighbour_profile",
    "neural_map",
    "protocol_steps",
    "read_complexes",
    "read_embedding",
    "read_regulon",
    "rewired",
    "run_plan",
    "settle",
    "sized",
    "split_trained",
    "thinned",
    "unwired_regulation",
    "wiring",
]
