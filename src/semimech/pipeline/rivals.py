"""Rivals of a fitted model: the same data, fitted with an assumption imposed or lifted that the data did not decide."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from functools import partial

from semimech._errors import ConfigError
from semimech.data import Dataset
from semimech.design import Rivals
from semimech.evaluate.arms import SEED, make_arms
from semimech.evaluate.sensitivity import as_chosen
from semimech.experiment import Condition
from semimech.fit import FitConfig, FittedModel, fit
from semimech.fit.train import Progress
from semimech.model import PriorNetwork
from semimech.pipeline.sensitivity import refuse_unknown


def fit_rivals(
    model: FittedModel,
    dataset: Dataset,
    config: FitConfig,
    *,
    prior: PriorNetwork | None = None,
    asked: Sequence[Condition] = (),
    assumptions: Collection[str] = (),
    say: Callable[[str], None] = lambda text: None,
    progress: Progress | None = None,
) -> Rivals:
    """Fit the rivals of a model.

    Parameters
    ----------
    model
        The model, fitted to the data with these settings.
    dataset, config, prior
        The data, the settings and the known wiring.
    asked
        What could be done, and is predicted.
    assumptions
        Ids of assumptions to impose or lift; if none are given, all that the model can express and that the audit of its data decided neither way.
    say, progress
        Called with a line of text before each fit, and with label, steps done and steps in all.

    Returns
    -------
    Rivals
        One for each assumption, and the model fitted again with another seed.

    Raises
    ------
    ConfigError
        If an assumption is unknown or cannot be moved on these data, or all are decided.
    """
    refuse_unknown(assumptions)
    chosen, network = as_chosen(config, prior, model)
    arms = make_arms(model, dataset, chosen, network, asked)
    able = [arm.assumption for arm in arms if arm.assumption != SEED]
    fixed = [name for name in assumptions if name not in able]
    if fixed:
        raise ConfigError(
            f"with these data and candidates the model can neither impose nor lift {', '.join(fixed)}; it can {', '.join(able)}"
        )
    decided = {finding.assumption.id for finding in model.findings if finding.verdict != "cannot tell"}
    wanted = set(assumptions) or set(able) - decided
    if not wanted:
        raise ConfigError(
            f"the data decide every assumption that the model can move ({', '.join(able)}): nothing is left to tell apart; name one with --assumption to look all the same"
        )
    ask = {}
    targets = tuple({e.gene for c in (*dataset.conditions, *asked) for p in c.history for e in p.context.edits})
    taken = [arm for arm in arms if arm.assumption in wanted or arm.assumption == SEED]
    for turn, arm in enumerate(taken, 1):
        name = SEED if arm.assumption == SEED else f"{arm.assumption} {arm.change}"
        say(f"{turn} of {len(taken)}, {name}")
        is_same = arm.dataset is dataset and arm.config == chosen and arm.prior is network
        rival = model if is_same else fit(arm.dataset, arm.config, prior=arm.prior, targets=targets, progress=progress)
        ask[name] = partial(arm.ask, rival)
    return Rivals(ask={name: each for name, each in ask.items() if name != SEED}, chance=ask[SEED])
