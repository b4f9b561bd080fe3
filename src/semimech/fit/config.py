"""FitConfig: every setting of a fit in one frozen record, from and to TOML."""

from __future__ import annotations

import difflib
import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal, TypeAlias, get_args

import tomli_w

from semimech._errors import ConfigError, raise_faults

Law: TypeAlias = Literal["semi-mechanistic", "neural"]
Strength: TypeAlias = Literal["auto", "none", "point", "mean", "moment"]
Likelihood: TypeAlias = Literal["pseudobulk", "counts", "energy"]
Pooling: TypeAlias = Literal["validated", "none"]
Borrowing: TypeAlias = Literal["validated", "none"]


@dataclass(frozen=True, kw_only=True)
class FitConfig:
    """Settings of a fit; candidates are chosen by inner validation on the training conditions.

    Parameters
    ----------
    law
        ``"semi-mechanistic"`` (production − degradation along a network) or ``"neural"`` (Neural ODE).
    residual_hidden
        Hidden units of the learned residual around the mechanism; 0 for none.
    likelihood
        ``"pseudobulk"``: squared error of means weighted by their standard errors, a normal law; ``"counts"``: negative
        binomial law of the raw counts of all cells, see `semimech.fit.counts`; ``"energy"``, in place of a likelihood: energy
        distance between the cells of a condition and matched controls carried through the model.
    steady_state
        Steady-state loss: ``"none"``, one strength, or ``"auto"``: whatever inner validation finds best of none and
        ``moment``.
    steady_state_weights
        Candidate weights of the steady-state loss, relative to the data loss of predicting no change.
    latent_factors
        Candidate numbers of slow latent factors in the ``moment`` strength.
    sparsities
        Candidate weights of the L1 penalty on edges; of several, a third of the smallest is tried too behind a sparse mask.
    weight_decays
        Candidate weights of the squared penalty on all weights.
    table_counts
        How often a soft table of known wiring may count: 0 not at all, 1 as given (always tried), 3 thrice (its strength to the third power, nearly
        a mask). Inner validation chooses for each table.
    residual_weight
        Weight of the penalty on the residual's share of production.
    pooling
        ``"validated"``: predictions of unseen edits are pooled towards that of an edit of an unknown gene as far as inner
        validation finds it to help; ``"none"``: they are not.
    borrowing
        ``"validated"``: predictions of unseen edits also borrow from what was measured of others, of those that are like them most, as far
        as inner validation finds it to help, and only if they are pooled; ``"none"``: they do not.
    n_folds
        Folds of the inner validation, grouped by edit.
    n_members
        Members of the ensemble, fitted to reweighted edits.
    n_steps, validation_steps
        Optimisation steps of each final and each validation fit; a third more behind a sparse mask.
    learning_rate
        Peak step size of Adam, twice that behind a sparse mask; weights of neural parts move at a fifth of it.
    max_step_hours
        Longest step of the exponential integrator in fits; predictions take steps of fourth order, of 8 hours at most.
    integration_error
        Instead of steps as long as that: the error that the integrator may make in fits, relative to how far the states move. The cheapest that keeps
        it on a strongly coupled law, by step halving, is chosen before training. 0 leaves ``max_step_hours`` to decide.
    half_life_hours
        Half-life that genes are expected to have before the data speak.
    devices
        Devices of JAX that share out the courses of cells; worth it where these are many and the devices large.
    checkpoint_every
        Steps between checkpoints.
    seed
        Seed of all randomness.

    Raises
    ------
    ConfigError
        Listing every setting out of its range.
    """

    law: Law = "semi-mechanistic"
    residual_hidden: int = 0
    likelihood: Likelihood = "pseudobulk"
    steady_state: Strength = "auto"
    steady_state_weights: tuple[float, ...] = (1.0, 4.0)
    latent_factors: tuple[int, ...] = (0, 2)
    sparsities: tuple[float, ...] = (0.01, 0.1, 0.3)
    weight_decays: tuple[float, ...] = (0.01,)
    table_counts: tuple[float, ...] = (0.0, 1.0, 3.0)
    residual_weight: float = 1.0
    pooling: Pooling = "validated"
    borrowing: Borrowing = "validated"
    n_folds: int = 3
    n_members: int = 4
    n_steps: int = 150
    validation_steps: int = 75
    learning_rate: float = 0.03
    max_step_hours: float = 24.0
    integration_error: float = 0.0
    half_life_hours: float = 8.0
    devices: int = 1
    checkpoint_every: int = 75
    seed: int = 0

    def __post_init__(self) -> None:
        raise_faults(ConfigError, "fit settings", _faults_of_range(vars(self)))


_CHOICES = {
    "law": Law,
    "steady_state": Strength,
    "likelihood": Likelihood,
    "pooling": Pooling,
    "borrowing": Borrowing,
}


def _faults_of_range(settings: Mapping[str, Any]) -> list[str]:
    """A fault for each value out of its range; ``settings`` are complete and of the right types."""
    faults = []
    for name, known in _CHOICES.items():
        if settings[name] not in get_args(known):
            faults.append(f"{name} must be one of {', '.join(get_args(known))}, got {settings[name]!r}")
    for name in ("steady_state_weights", "latent_factors", "sparsities", "weight_decays", "table_counts"):
        values = settings[name]
        if not values or not all(0 <= value < math.inf for value in values):
            faults.append(f"{name} must be a list of numbers that are 0 or more, got {list(values)}")
    for name in ("n_members", "n_steps", "validation_steps", "devices", "checkpoint_every"):
        if settings[name] < 1:
            faults.append(f"{name} must be at least 1, got {settings[name]}")
    if settings["n_folds"] < 2:
        faults.append(f"n_folds must be at least 2, got {settings['n_folds']}")
    for name in ("learning_rate", "max_step_hours", "half_life_hours"):
        if not 0 < settings[name] < math.inf:
            faults.append(f"{name} must be above 0, got {settings[name]:g}")
    for name in ("residual_weight", "residual_hidden", "integration_error"):
        if not 0 <= settings[name] < math.inf:
            faults.append(f"{name} must be 0 or more, got {settings[name]:g}")
    return faults


def config_from_dict(settings: Mapping[str, Any], *, source: str = "fit settings") -> FitConfig:
    """Make a FitConfig, refusing names and types it does not know.

    Raises
    ------
    ConfigError
        Listing every unknown name with the nearest known one, every value of the wrong type, and every one out of its
        range.
    """
    defaults = {field.name: field.default for field in fields(FitConfig)}
    faults, values = [], {}
    for name, value in settings.items():
        if name not in defaults:
            near = difflib.get_close_matches(name, defaults, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else f"; known: {', '.join(defaults)}"
            faults.append(f"unknown setting {name!r}{hint}")
            continue
        try:
            values[name] = _like(value, defaults[name])
        except TypeError as error:
            faults.append(f"{name} must be {error}, got {value!r}")
    raise_faults(ConfigError, source, faults + _faults_of_range(defaults | values))
    return FitConfig(**values)


def _like(value: Any, default: Any) -> Any:
    """The value in the type of a default: lists become tuples, and whole numbers stand for others.

    Raises
    ------
    TypeError
        If that cannot be; the message says what was wanted.
    """
    if isinstance(default, tuple):
        if not isinstance(value, list | tuple):
            raise TypeError("a list of numbers")
        return tuple(_like(item, default[0]) for item in value)
    wanted = (int, float) if isinstance(default, float) else type(default)
    if isinstance(value, bool) or not isinstance(value, wanted):
        raise TypeError({float: "a number", int: "a whole number", str: "a text"}[type(default)])
    return type(default)(value)


def read_config(path: str | Path) -> FitConfig:
    """Read settings from a TOML file.

    Raises
    ------
    ConfigError
        If the file is missing, is not TOML, or holds a setting that is unknown or out of range.
    """
    try:
        settings = tomllib.loads(Path(path).read_text())
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read as TOML ({error})") from None
    return config_from_dict(settings, source=str(path))


def format_config(config: FitConfig) -> str:
    """Write settings as TOML."""
    return tomli_w.dumps({field.name: _plain(getattr(config, field.name)) for field in fields(config)})


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
