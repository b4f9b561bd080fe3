"""FittedModel: an ensemble of fitted laws that predicts any protocol of its system."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from pathlib import Path

import anndata as ad
import jax.numpy as jnp
import numpy as np
import pandas as pd
from jaxtyping import Float

from semimech._errors import DataError, raise_faults
from semimech.assumptions import Harvested
from semimech.assumptions.diagnostics import Audit, Finding
from semimech.data.scale import Scale
from semimech.experiment import Condition, Experiment, remaining_history
from semimech.fit.claims import model_assumptions, model_name
from semimech.fit.config import FitConfig
from semimech.fit.correct import Corrected, Corrections
from semimech.fit.donors import Loan
from semimech.fit.folder import read_result, write_result
from semimech.fit.members import predict_members
from semimech.fit.problem import own_genes
from semimech.fit.record import Result
from semimech.fit.weights import KnownWeights
from semimech.model import (
    ExponentialSolver,
    Operator,
    Plan,
    Protocol,
    advance_members,
    context_arrays,
    harvest_times,
    make_plan,
    protocol_steps,
    split_trained,
    thinned,
    wiring,
)
from semimech.predictor import AbstractDynamicPredictor, Prediction

_PREDICTION_STEP_HOURS = 8.0


class FittedModel(AbstractDynamicPredictor):
    """An ensemble of semi-mechanistic models (or Neural ODEs) of one cell system.

    Parameters
    ----------
    result
        What the fit found.
    """

    def __init__(self, result: Result) -> None:
        super().__init__(
            name=model_name(result.record),
            genes=result.roster.genes,
            assumptions=model_assumptions(result.record.config, result.record.chosen, result.record.likeness),
            var_names=result.var_names,
            maintenance_medium=result.system.maintenance_medium,
        )
        self.fit = result.fit
        self._laws = thinned(result.fit.members)
        self.roster = result.roster
        self.system = result.system
        self.training = result.training
        self.record = result.record
        self._result = result
        self._corrections = Corrections(
            result.fit,
            result.training,
            genes=result.roster.genes,
            kin=result.kin,
            has_pool=result.system.is_stationary and any(c.is_control and c.media == (None,) for c in result.training),
        )
        self._weights = KnownWeights(
            roster=result.roster,
            scale=self.scale,
            control=result.fit.control,
            training=result.training,
            change=result.fit.change,
            noise=result.fit.missed,
            edges=result.fit.edges,
        )

    def predict(self, experiments: Sequence[Experiment]) -> ad.AnnData:
        """Predict every harvest of experiments, and say how each stands to what the model was trained on.

        As `AbstractPredictor.predict`, with two more columns in ``obs``: ``coverage`` is ``"observed"``,
        ``"composed"``, ``"interpolated"`` or ``"extrapolated"``, and ``coverage_axes`` names in what the harvest differs from
        those of the training data (`semimech.assumptions.Coverage`). ``uns["findings"]`` is the table of what the training data
        say of the model's assumptions, where they say anything (`semimech.assumptions.diagnostics.Finding`).
        """
        prediction = super().predict(experiments)
        trained = Harvested(conditions=self.training, system=self.system)
        found = [trained.coverage(c) for experiment in experiments for c in experiment.conditions.values()]
        prediction.obs["coverage"] = [each.label for each in found]
        prediction.obs["coverage_axes"] = [", ".join(each.axes) for each in found]
        if self.findings:
            prediction.uns["findings"] = Audit(findings=self.findings).table()
        return prediction

    def predict_conditions(self, conditions: Sequence[Condition]) -> Prediction:
        """Predict conditions: the mean of the members.

        What was seen carries over a share of its residual at the harvests around the time asked. What was seen in parts is
        composed of them (`semimech.fit.compose`). Edits of genes that were not edited in training are pooled with the
        predictions of an unknown edit and of no edit. All as far as was found to help on what was held out.

        Raises
        ------
        DataError
            Listing genes and media that the model does not know.
        """
        found, own = self.corrected(conditions), own_genes(conditions, self.genes)
        mean, kinds = found.mean, found.kinds
        change = mean - found.unedited
        left_open = np.zeros_like(change)
        if unseen := [row for row, kind in enumerate(kinds) if kind == "unseen"]:
            asked = [self.system.resolve(conditions[row]) for row in unseen]
            left_open[unseen] = self._weights.left_open(asked, change[unseen])
        widths = {kind: getattr(self.fit, kind).half_width(change, own, left_open) for kind in dict.fromkeys(kinds)}
        width = np.array([widths[kind][row] for row, kind in enumerate(kinds)]).reshape(mean.shape)
        return Prediction(mean=mean, lower=mean - width, upper=mean + width)

    def corrected(self, conditions: Sequence[Condition]) -> Corrected:
        """Predictions as of `predict_conditions`, with what residuals add to them and what they rest on."""
        conditions = [self.system.resolve(condition) for condition in conditions]
        raise_faults(DataError, "query", self.unknown_names(conditions))
        return self._corrections.predict(conditions, own_genes(conditions, self.genes), self.by_law)

    def loan(self, condition: Condition) -> Loan | None:
        """What an unseen edit borrows from what was measured of others; ``None`` where all edits were trained on.

        Raises
        ------
        DataError
            Listing genes and media that the model does not know.
        """
        asked = self.system.resolve(condition)
        raise_faults(DataError, "query", self.unknown_names([asked]))
        return self._corrections.loan(asked)

    def advance(
        self,
        observed: Float[np.ndarray, "condition gene"],
        before: Sequence[Condition],
        after: Sequence[Condition],
    ) -> Float[np.ndarray, "condition gene"]:
        """Predict later harvests from cells observed at earlier ones, by the law alone.

        Raises
        ------
        DataError
            Listing genes and media that the model does not know.
        ValueError
            If a later condition is not the earlier one continued.
        """
        before, after = ([self.system.resolve(c) for c in conditions] for conditions in (before, after))
        raise_faults(DataError, "query", self.unknown_names(after))
        rest = [remaining_history(b, a) for b, a in zip(before, after, strict=True)]
        members = self.fit.members
        start = (np.maximum(self.scale.to_state(observed), 0.0) / members.unit).astype(np.float32)
        result = np.empty(observed.shape)
        for hours in dict.fromkeys(tuple(period.hours for period in periods) for periods in rest):
            rows = [row for row, periods in enumerate(rest) if tuple(period.hours for period in periods) == hours]
            states = jnp.asarray(np.stack([start[rows]] * self.record.config.n_members))
            for number, gap in enumerate(hours):
                contexts = context_arrays([rest[row][number].context for row in rows], self.roster)
                states = advance_members(*split_trained(members), states, contexts, self.solver, gap)
            result[rows] = np.asarray(members.observe(states), np.float64).mean(axis=0)
        return result

    def operator(self, protocol: Protocol) -> Operator:
        """What a protocol makes of cells in any state, by the laws of the members alone.

        From unedited cells it gives the members' predictions, without what `predict` adds to their mean: residuals carried
        over, and pooling of edits that were not trained on.

        Parameters
        ----------
        protocol
            An experiment, its one-line form, or steps; up to its end, whatever is harvested on the way.

        Raises
        ------
        ExperimentError
            If the protocol cannot be read or carried out.
        DataError
            Listing genes and media that the model does not know.
        """
        asked = Operator(
            laws=self.fit.members,
            roster=self.roster,
            solver=self.solver,
            system=self.system,
            steps=protocol_steps(protocol),
        )
        raise_faults(DataError, "query", self.unknown_names([asked.condition]))
        return asked

    def save(self, directory: str | Path) -> None:
        """Write the model as a folder, whole or not at all; a model that is there already is replaced.

        Raises
        ------
        ConfigError
            If the place cannot be written to, or holds something that is not a model.
        """
        write_result(self._result, self.network(), Path(directory))

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What the training data say of the model's assumptions; those that cannot be tested on them are left out."""
        return self.record.findings

    @property
    def scale(self) -> Scale:
        """From the states of cells to the means that are observed, and back."""
        grid = self.fit.members.scale
        return Scale(name="training", state_grid=grid.state, observed_grid=grid.observed)

    @property
    def solver(self) -> ExponentialSolver:
        """The integrator of predictions."""
        return prediction_solver(self.record.config)

    def network(self) -> pd.DataFrame:
        """Edges by size: columns ``source, target, weight, spread``; mean and standard deviation over members.

        A Neural ODE has none, and gives an empty table.
        """
        mechanism = wiring(self.fit.members.dynamics)
        if mechanism is None:
            return pd.DataFrame({"source": [], "target": [], "weight": [], "spread": []})
        weight = np.asarray(mechanism.full())
        mean, spread = weight.mean(axis=0), weight.std(axis=0, ddof=min(len(weight) - 1, 1))
        target, source = np.nonzero(np.abs(mean) > 1e-3)
        edges = pd.DataFrame(
            {
                "source": np.array(self.roster.regulators, dtype=object)[source],
                "target": np.array(self.genes, dtype=object)[target],
                "weight": mean[target, source],
                "spread": spread[target, source],
            }
        )
        return edges.sort_values("weight", key=np.abs, ascending=False, ignore_index=True)

    def unknown_names(self, conditions: Sequence[Condition]) -> list[str]:
        """A fault for each gene and medium of a query that the model does not know."""
        known_genes, known_media = {*self.roster.regulators, *self._result.kin}, set(self.roster.media)
        periods = [period.context for condition in conditions for period in condition.history]
        genes = {edit.gene for context in periods for edit in context.edits} - known_genes
        media = {context.medium for context in periods if context.medium is not None} - known_media
        faults = [
            f"gene {g!r} is neither measured nor edited in training, nor in a table of genes{_near(g, known_genes)}"
            for g in sorted(genes)
        ]
        known_media.add(self.system.maintenance_medium)
        return faults + [f"medium {m!r} was not in the training data{_near(m, known_media)}" for m in sorted(media)]

    def by_law(self, conditions: Sequence[Condition]) -> Float[np.ndarray, "condition gene"]:
        """Mean predictions of the members' laws alone, without what `predict` adds to them."""
        return self.by_member(conditions).mean(axis=0)

    def by_member(self, conditions: Sequence[Condition]) -> Float[np.ndarray, "member condition gene"]:
        """Predictions of each member's law alone: how they differ is what the ensemble does not know."""
        asked = [self.system.resolve(condition) for condition in conditions]
        members = predict_members(self._laws, self.plan(asked), self.solver)
        return np.asarray(members, np.float64)[:, : len(conditions)]

    def plan(self, conditions: Sequence[Condition]) -> Plan:
        """Conditions compiled, on a grid that holds the times of the training data."""
        return make_plan(conditions, self.roster, times=harvest_times(self.training))


def prediction_solver(config: FitConfig) -> ExponentialSolver:
    """An integrator of small errors: what else is asked adds times to the grid, and hardly changes a prediction then."""
    return ExponentialSolver(min(config.max_step_hours, _PREDICTION_STEP_HOURS), 4)


def _near(name: str, known: set[str]) -> str:
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.6)
    return f"; did you mean {' or '.join(map(repr, near))}?" if near else ""


def load(directory: str | Path) -> FittedModel:
    """Read a model that `FittedModel.save` wrote; it predicts the same numbers.

    Raises
    ------
    ConfigError
        If the folder is not a saved model, is damaged, or was written by a later version.
    """
    return FittedModel(read_result(Path(directory)))
