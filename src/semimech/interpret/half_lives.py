r"""Half-lives, with their spread over the ensemble and with what the data say about them.

The data speak about a decay through cells on the move: where production :math:`v` is given, :math:`\dot z = \delta(v - z)`, so that
:math:`s = \partial z/\partial\log\delta` obeys :math:`\dot s = \delta(v - z) - \delta s`. Cells that have settled say nothing.
"""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from jaxtyping import Array, Float

from semimech.fit import FittedModel
from semimech.model import (
    AbstractDynamics,
    AbstractSolver,
    CellModel,
    ContextArrays,
    Plan,
    make_plan,
    member_axis,
    run_plan,
    split_trained,
)

WITHIN_FOLD = 2.0
_LEAST_SHARE = 1e-6  # of a sensitivity, below which it is rounding


def half_lives(model: FittedModel, *, within_fold: float = WITHIN_FOLD) -> pd.DataFrame:
    r"""Half-life :math:`\ln 2/\delta` and time constant :math:`1/\delta` of each gene, and whether the data could tell them.

    Two things can be wrong with a half-life. Members may disagree: their spread is wide. Or the data may not speak at all:
    then every member stays where it was expected before the data (``half_life_hours`` of the settings), and a narrow spread
    means nothing. The second is judged by the error that the training data leave,
    :math:`\sigma_g/\sqrt{\sum s_\perp^2}` in :math:`\log\delta_g`, with :math:`\sigma_g` the root mean square of the residuals of the gene and
    :math:`s_\perp` the part of the sensitivity, over the times of one course (same edits and media), that a change of the size of
    the gene's response would not explain as well: edges are free to set the size, only the shape in time tells a decay. Harvests at
    a single time say nothing. It takes the shape of the gene's production as known, and is blind to the pull of the fit towards the expected
    half-life: a gene that fails is not told, one that passes could have been.

    Parameters
    ----------
    model
        The fitted model.
    within_fold
        Data could tell a half-life if both the spread of members and the error from the data are below this factor.

    Returns
    -------
    pandas.DataFrame
        One row per gene, in the order of the model: ``gene``; ``half_life_hours``, the geometric mean over members, with
        ``lower`` and ``upper``, the range over members; ``time_constant_hours``; ``fold_spread``, the factor of one standard
        deviation over members; ``fold_error``, the factor of one standard error from the data, infinite where they are
        silent; ``could_tell``. A law without decay, as a Neural ODE, gives an empty table.

    Raises
    ------
    ValueError
        If ``within_fold`` is not above 1.
    """
    if not within_fold > 1:
        raise ValueError(f"within_fold must be above 1, got {within_fold:g}")
    columns = (
        "gene",
        "half_life_hours",
        "lower",
        "upper",
        "time_constant_hours",
        "fold_spread",
        "fold_error",
        "could_tell",
    )
    members = model.fit.members
    if members.dynamics.settling_hours is not None:
        return pd.DataFrame({name: [] for name in columns})
    log_rate = np.log(
        np.asarray(eqx.filter_vmap(lambda law: law.decay(), in_axes=member_axis)(members.dynamics), np.float64)
    )
    hours = np.log(2.0) / np.exp(log_rate)
    typical = np.exp(np.log(hours).mean(axis=0))
    spread = np.exp(log_rate.std(axis=0, ddof=min(len(log_rate) - 1, 1)))
    with np.errstate(over="ignore"):
        error = np.exp(_log_error(model))
    return pd.DataFrame(
        {
            "gene": list(model.genes),
            "half_life_hours": typical,
            "lower": hours.min(axis=0),
            "upper": hours.max(axis=0),
            "time_constant_hours": typical / np.log(2.0),
            "fold_spread": spread,
            "fold_error": error,
            "could_tell": (spread < within_fold) & (error < within_fold),
        }
    )


def _log_error(model: FittedModel) -> Float[np.ndarray, " gene"]:
    """Standard error of the logarithm of each decay that the shape in time of the training data leaves."""
    courses: dict[tuple, list[int]] = {}
    for row, condition in enumerate(model.training):
        courses.setdefault((condition.edits, condition.media), []).append(row)
    if not courses:
        return np.full(len(model.genes), np.inf)
    plan = make_plan(model.training, model.roster)
    found = _sensitivities(*split_trained(model.fit.members), plan, model.solver)
    mean, sensitivity = (np.asarray(each, np.float64) for each in found)
    change = mean - np.asarray(model.fit.control, np.float64)
    information = np.sum([_unexplained(sensitivity[:, rows], change[:, rows]) for rows in courses.values()], axis=0)
    noise = np.sqrt(np.asarray(model.fit.missed, np.float64))
    informed = np.where(information > 0, information, 1.0).mean(axis=0)
    return np.where((information > 0).all(axis=0), noise / np.sqrt(informed), np.inf)


def _unexplained(
    sensitivity: Float[np.ndarray, "member time gene"], change: Float[np.ndarray, "member time gene"]
) -> Float[np.ndarray, "member gene"]:
    """Sum of squares over the times of a course of what another size of its change would not do as well."""
    squared, size = (sensitivity**2).sum(axis=1), (change**2).sum(axis=1)
    along = (sensitivity * change).sum(axis=1) ** 2 / np.where(size > 0, size, 1.0)
    left = squared - along
    return np.where(left > _LEAST_SHARE * squared, left, 0.0)


class _WithSensitivity(AbstractDynamics):
    """A law beside the sensitivity of its state to the logarithm of each gene's own decay, production being given."""

    law: AbstractDynamics

    @property
    def settling_hours(self) -> None:
        return None

    def decay(self) -> Float[Array, " both"]:
        return jnp.tile(self.law.decay(), 2)

    def natural_rate(self) -> Float[Array, " both"]:
        return self.decay()

    def forcing(self, z: Float[Array, "*n both"], context: ContextArrays) -> Float[Array, "*n both"]:
        state, _ = jnp.split(z, 2, axis=-1)
        made = self.law.forcing(state, context)
        return jnp.concatenate([made, made - self.law.decay() * state], axis=-1)


@eqx.filter_jit
def _sensitivities(
    trained: CellModel, fixed: CellModel, plan: Plan, solver: AbstractSolver
) -> tuple[Float[Array, "member row gene"], Float[Array, "member row gene"]]:
    """Observed means of every row of a plan, and their derivatives by the logarithm of the gene's own decay."""

    def one(trained: CellModel) -> tuple[Array, Array]:
        model = eqx.combine(trained, fixed)
        start = jnp.exp(model.log_initial)
        both = run_plan(
            _WithSensitivity(law=model.dynamics), jnp.concatenate([start, jnp.zeros_like(start)]), plan, solver
        )
        state, sensitivity = jnp.split(both, 2, axis=-1)
        return jax.jvp(model.observe, (state,), (sensitivity,))

    return jax.vmap(one)(trained)
