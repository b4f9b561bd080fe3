"""Pilot: is the experiment good enough, does one mechanistic element help on it, and what would that save."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from semimech._errors import SemimechError
from semimech.baselines import BASELINES
from semimech.data import Dataset, Examination
from semimech.data.split import Split, unseen_edit
from semimech.design import Prices
from semimech.design.audit import audit, groups_of
from semimech.design.components import estimate_components
from semimech.design.value import FAR, Saving, saving, sensitivity
from semimech.evaluate import Method, baseline_methods, compare, run_benchmark
from semimech.evaluate.compare import best_simple_baseline
from semimech.fit import FitConfig, FittedModel, fit
from semimech.model import PriorNetwork
from semimech.pipeline.reliability import reliability
from semimech.report.pilot import PilotContent, Stage

MODEL = "semi-mechanistic"
_RELIABLE = 0.5
_FEWEST_EDITS = 6
_FEWEST_CELLS = 30


@dataclass(frozen=True, kw_only=True)
class Trial:
    """Held-out errors with and without the element, at two numbers of training edits.

    Parameters
    ----------
    sizes
        Mean number of training edits.
    scores
        Squared error of each edit: columns ``size, predictor, perturbation, value``.
    comparison
        The element against the best predictor without it, at the larger size.
    assumptions
        What the element takes for granted.
    """

    sizes: np.ndarray
    scores: pd.DataFrame
    comparison: dict[str, object]
    assumptions: tuple[str, ...]


def judge_data(examination: Examination, dataset: Dataset | None, reason: str = "") -> tuple[Stage, pd.DataFrame]:
    """Stage one: whether the experiment is reproducible and the data are good enough.

    Parameters
    ----------
    examination
        What the check found.
    dataset
        The data; ``None`` if they cannot be read.
    reason
        Why not.

    Returns
    -------
    tuple
        The stage, and reliability of the response of each edit.
    """
    findings = examination.findings
    bad = findings[findings["severity"] == "fail"]
    reasons = [f"{row.check}: {row.evidence}" for row in bad.itertuples()]
    open_ones = findings[findings["severity"].isin(["fail", "warning"])]
    mends = [
        f"{check}: {mend}"
        for check, mend in zip(map(str, open_ones["check"]), map(str, open_ones["mend"]), strict=True)
        if mend
    ]
    numbers: dict[str, float] = {}
    if dataset is None:
        why = (*reasons, *([reason] if reason and not reasons else []))
        return Stage(verdict="not yet", reasons=why, mends=tuple(mends)), pd.DataFrame()
    table = reliability(dataset)
    edits = {p for p, c in zip(dataset.perturbations, dataset.is_control, strict=True) if not c}
    numbers["edits"] = len(edits)
    numbers["median_cells_per_condition"] = float(np.median(dataset.n_cells[~dataset.is_control])) if edits else 0.0
    numbers["control_conditions"] = int(dataset.is_control.sum())
    numbers["median_reliability"] = float(table["reliability"].median()) if len(table) else np.nan
    numbers["reproducible_share"] = float((table["reliability"] >= _RELIABLE).mean()) if len(table) else 0.0
    if not dataset.is_control.any():
        reasons.append("there are no unedited cells: no change can be told from a batch")
        mends.append("put unedited cells into every batch, and name them with --control")
    if len(edits) < _FEWEST_EDITS:
        reasons.append(f"{len(edits)} edits: too few to hold some out and learn from the others")
        mends.append(f"make at least {_FEWEST_EDITS} edits, better 20")
    if dataset.cells is not None and numbers["median_cells_per_condition"] < _FEWEST_CELLS:
        reasons.append(f"{numbers['median_cells_per_condition']:.0f} cells in a typical condition")
        mends.append("sequence more cells of each edit: 'semimech design allocate' says how many")
    if not numbers["reproducible_share"] >= 0.5:
        share = 100 * numbers["reproducible_share"]
        reasons.append(
            f"only {share:.0f} % of the responses are told from noise (reliability of {_RELIABLE:g} or more)"
        )
        mends.append("more cells, or edits whose effects are larger")
    told = _effects(dataset)
    if told is not None:
        numbers["effects_told"] = told
        if told < 0.9:
            reasons.append(f"{100 * (1 - told):.0f} % of the effects cannot be told from their batches")
            mends.append("put controls and each edit into the same batches: 'semimech design audit' says where")
    good = f"{len(edits)} edits; {100 * numbers['reproducible_share']:.0f} % of the responses stand out from noise"
    verdict, why = ("not yet", tuple(reasons)) if reasons else ("go", (good,))
    return Stage(verdict=verdict, reasons=why, mends=tuple(dict.fromkeys(mends)), numbers=numbers), table


def _effects(dataset: Dataset) -> float | None:
    """Share of effects that can be told whatever the batches did; ``None`` without cells."""
    if dataset.cells is None:
        return None
    try:
        layout, groups = groups_of(dataset)
        effects = audit(layout, estimate_components(groups, dataset.genes).typical).effects
    except SemimechError:
        return None
    return float((effects["verdict"] != "not estimable").mean()) if len(effects) else None


def try_element(
    dataset: Dataset,
    config: FitConfig,
    *,
    prior: PriorNetwork | None,
    n_folds: int,
    say: Callable[[str], None] | None = None,
) -> Trial:
    """Stage two: predict edits that were held out, with production minus degradation along a network and without.

    The predictor without it is the best of all baselines, chosen on the same held-out edits, which favours it.

    Raises
    ------
    DataError
        If there are too few edits to hold some out.
    """
    assumptions: list[str] = []

    def fitted(train: Dataset, seed: int) -> FittedModel:
        model = fit(train, replace(config, seed=seed), prior=prior)
        assumptions.extend(a.statement for a in model.assumptions)
        return model

    methods = [Method(name=MODEL, fit=fitted), *baseline_methods()]
    whole = unseen_edit(dataset, n_folds=n_folds, seed=config.seed)
    half = tuple(_halved(dataset, split, config.seed) for split in whole)
    tables, sizes = [], []
    for size, splits in enumerate((half, whole)):
        scores = run_benchmark(methods, dataset, splits, seed=config.seed, progress=say).scores
        tables.append(scores.assign(size=size))
        sizes.append(np.mean([len(_edits(dataset, s.train)) for s in splits]))
    rng = np.random.default_rng(config.seed)
    best = best_simple_baseline(tables[1], baselines=[b.name for b in BASELINES])["unseen_edit"]
    comparison = compare(tables[1], metric="mse", scope="excl", reference=best, predictors=[MODEL, best], rng=rng)
    scores = pd.concat(tables, ignore_index=True)
    scores = scores[(scores["metric"] == "mse") & (scores["scope"] == "excl")]
    return Trial(
        sizes=np.array(sizes),
        scores=scores.groupby(["size", "predictor", "perturbation"])["value"].mean().reset_index(),
        comparison={str(name): value for name, value in comparison.iloc[0].items()},
        assumptions=tuple(dict.fromkeys(assumptions)),
    )


def judge_element(trial: Trial) -> Stage:
    """The verdict of stage two: by the interval of the ratio of errors."""
    c = trial.comparison
    ratio, lower, upper = (float(c[name]) for name in ("estimate", "lower", "upper"))  # type: ignore[arg-type]
    said = (
        f"with production minus degradation along a network the squared error on held-out edits is {ratio:.2f} times "
        f"(95 % interval {lower:.2f} to {upper:.2f}) that of the best of {len(BASELINES)} predictors without mechanism, {c['reference']!r}"
    )
    verdict = "go" if upper < 1 else "no" if lower > 1 else "not yet"
    mends = {
        "go": (),
        "no": ("use the baseline; a network of known regulation (--prior) or more times may change that",),
        "not yet": ("more edits narrow the interval; a network of known regulation (--prior) may lower the error",),
    }[verdict]
    return Stage(
        verdict=verdict,
        reasons=(said,),
        mends=mends,
        numbers={"ratio": ratio, "lower": lower, "upper": upper, "edits": float(c["n_edits"])},  # type: ignore[arg-type]
        assumptions=trial.assumptions,
    )


def judge_value(
    trial: Trial, prices: Prices, *, conditions_per_edit: float, edits_per_week: float
) -> tuple[Stage, Saving]:
    """Stage three: edits saved at equal error, from the learning curves of both.

    Where these cannot be followed (`Saving.can_be_told`), the stage has no number but a lower bound, and does not say go.
    """
    wide = trial.scores.pivot_table(index=["size", "perturbation"], columns="predictor", values="value")
    pair = [wide[name].unstack("size").dropna() for name in (MODEL, str(trial.comparison["reference"]))]
    common = pair[0].index.intersection(pair[1].index)
    with_, without = (errors.loc[common].to_numpy().T for errors in pair)
    found = saving(
        trial.sizes, with_, without, prices, conditions_per_edit=conditions_per_edit, edits_per_week=edits_per_week
    )
    verdict = "no" if found.upper < 0 else "go" if found.lower > 0 and found.can_be_told else "not yet"
    or_more = " or more" if found.needed_upper >= FAR * found.edits else ""
    interval = f"(90 % interval {100 * found.lower:.0f} to {100 * found.upper:.0f} %{or_more})"
    reached = f"the error reached with {found.edits:.0f} edits"
    told: tuple[str, ...] = ("edits",)
    if found.can_be_told:
        told = tuple(vars(found))
        said = f"at {reached} it saves {100 * found.share:.0f} % of the edits {interval}"
        said = said if found.share >= 0 else f"it saves nothing: without it {reached} takes fewer {interval}"
    elif found.lower > 0:
        told = ("edits", "lower")
        said = (
            f"at {reached} it saves at least {100 * found.lower:.0f} % of the edits, and how much more cannot be told: without it, that takes "
            f"{FAR:.0f} times the edits or more, farther than the learning curve can be followed"
        )
    else:
        said = (
            f"what it saves cannot be told: from {trial.sizes[0]:.0f} to {found.edits:.0f} training edits errors fall too little for learning curves to be "
            f"followed {interval}"
        )
    mends = ("more held-out edits, or a third size of training set, narrow the learning curves",) * (verdict != "go")
    numbers = {name: float(getattr(found, name)) for name in told}
    return Stage(verdict=verdict, reasons=(said,), mends=mends, numbers=numbers), found


def overall(stages: tuple[Stage, ...]) -> str:
    """Go if all three stages do; no if the data are good and the element loses; else not yet."""
    verdicts = [stage.verdict for stage in stages]
    if len(verdicts) == 3 and set(verdicts) == {"go"}:
        return "go"
    return "no" if verdicts[0] == "go" and "no" in verdicts[1:] else "not yet"


def run_pilot(
    examination: Examination,
    dataset: Dataset | None,
    config: FitConfig,
    prices: Prices,
    *,
    title: str,
    reason: str = "",
    prior: PriorNetwork | None = None,
    n_folds: int = 3,
    edits_per_week: float = 10.0,
    say: Callable[[str], None] | None = None,
) -> PilotContent:
    """All three stages; those after one that cannot be judged are left out."""
    data, table = judge_data(examination, dataset, reason)
    stages, scores, sizes, prices_table = [data], pd.DataFrame(), np.zeros(0), pd.DataFrame()
    if dataset is not None and data.numbers.get("edits", 0) >= _FEWEST_EDITS and dataset.is_control.any():
        trial = try_element(dataset, config, prior=prior, n_folds=n_folds, say=say)
        stages.append(judge_element(trial))
        work = {
            "conditions_per_edit": float((~dataset.is_control).sum()) / data.numbers["edits"],
            "edits_per_week": edits_per_week,
        }
        stage, found = judge_value(trial, prices, **work)
        stages.append(stage)
        prices_table = sensitivity(found, prices, **work) if found.can_be_told else prices_table
        names = [MODEL, str(trial.comparison["reference"])]
        scores, sizes = trial.scores[trial.scores["predictor"].isin(names)], trial.sizes
    made = tuple(stages)
    return PilotContent(
        title=title,
        verdict=overall(made),
        stages=made,
        reliability=table,
        scores=scores,
        sizes=tuple(map(float, sizes)),
        sensitivity=prices_table,
    )


def _edits(dataset: Dataset, rows: np.ndarray) -> list[str]:
    return sorted({dataset.perturbations[r] for r in rows if not dataset.is_control[r]})


def _halved(dataset: Dataset, split: Split, seed: int) -> Split:
    """A split that trains on half of the edits, the same held out."""
    edits = _edits(dataset, split.train)
    order = np.random.default_rng([seed, split.fold]).permutation(len(edits))
    kept = {edits[i] for i in order[: max(len(edits) // 2, 2)]}
    train = [r for r in split.train if dataset.is_control[r] or dataset.perturbations[r] in kept]
    return replace(split, train=np.array(train, dtype=int))
