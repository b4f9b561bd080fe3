"""Packages that learn from cells alone, on simulated worlds: edits and pairs of edits that were not measured, on the last day.

``python -m benchmarks.peer_worlds export --cache FOLDER`` writes what a peer may see, ``FOLDER/KIND-WORLD/{train.h5ad,asked.tsv,terms.tsv}``;
each peer writes ``predicted/NAME.tsv`` there (`benchmarks/peers/README.md`), and its seconds of CPU into ``NAME.seconds`` if they are to be told;
``python -m benchmarks.peer_worlds score --cache FOLDER`` fits the default model and the baselines, and writes ``results/peer_worlds.md``.
It goes on with the worlds that are missing.
"""

from __future__ import annotations

import argparse
import contextlib
import time
from dataclasses import replace
from pathlib import Path

import jax
import numpy as np
import pandas as pd

from benchmarks.parts import RESULTS
from benchmarks.peers.exchange import FromFile, write_task
from semimech._errors import DataError
from semimech.data import Dataset, Split
from semimech.evaluate import baseline_methods
from semimech.fit import FitConfig, fit
from semimech.predictor import AbstractPredictor
from semimech.simulate import STUDY_KINDS, Study, simulate_study, study_world

FIRST_WORLD = 50
"""Worlds 0 to 49 and 80 to 83 were looked at while settings were chosen, or scored before."""
MODEL = "semi-mechanistic"
PEERS = ("GEARS", "CellFlow")
CORRELATES = 3
"""Genes most correlated with a gene in training cells, that share a term with it: what GEARS is told of unseen edits."""
HEAD = """# Packages that learn from cells alone, on simulated worlds

- {when}; one core of 2 shared with other work. Worlds {first} to {last} of each of four kinds, new to every setting; 24 genes, 5,000 UMI, 16 knock-outs of 200 cells on each of days 1 to 4, 2,000 unedited cells. One seed of every method.
- Commands: `python -m benchmarks.peer_worlds export --cache FOLDER --worlds {worlds}`; for each folder `gears/bin/python benchmarks/peers/gears/run.py FOLDER/KIND-WORLD --epochs 20` and
  `cellflow/bin/python benchmarks/peers/cellflow/run.py FOLDER/KIND-WORLD`; `python -m benchmarks.peer_worlds score --cache FOLDER --worlds {worlds}`.
- Asked: eight unseen knock-outs and twelve unseen pairs of seen ones, on day 4, against the noise-free truth, edited genes left out. No prior network for anyone.
- GEARS and CellFlow were given the cells of day 4 and unedited cells, as GEARS knows no time; the model and the baselines had all days. GEARS: 20 epochs, hidden size 64, its other defaults; there is no ontology in a simulated world, so edits share a
  term where their genes are among each other's {correlates} closest correlates. CellFlow: 3,000 iterations of 256 cells, layers of 256 units instead of 2,048 and 4,096, transport to 1e-3 instead of 1e-5, since there is no GPU; the embedding of an edit,
  which its user supplies, is what unedited cells tell of the edited gene (loadings on eight principal components). Nothing was tuned for either on these worlds, and nothing for the model.

"""
FOOT = """
The best simple baseline is picked for each world on the conditions asked, which favours it. Baselines shown: the three of least mean error. The last column is against the row's method.
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("export", "score"))
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--worlds", type=int, default=2)
    given = parser.parse_args()
    for seed in range(FIRST_WORLD, FIRST_WORLD + given.worlds):
        for kind in STUDY_KINDS:
            (export if given.what == "export" else score)(kind, seed, given.cache / f"{kind}-{seed}")
            jax.clear_caches()
    if given.what == "score":
        tables = [pd.read_csv(file, sep="\t") for file in sorted(given.cache.glob("*/scores.tsv"))]
        write_page(pd.concat(tables, ignore_index=True), given.worlds)


def _study(kind: str, seed: int) -> Study:
    world_key, data_key = jax.random.split(jax.random.key(1000 * STUDY_KINDS.index(kind) + seed))
    return simulate_study(study_world(kind, key=world_key), key=data_key)


def _last_day(dataset: Dataset, rows: np.ndarray) -> np.ndarray:
    return rows[(dataset.hours[rows] == dataset.hours.max()) | dataset.is_control[rows]]


def export(kind: str, seed: int, folder: Path) -> None:
    """Write the cells of the last day, and what is asked."""
    if (folder / "train.h5ad").exists():
        return
    study = _study(kind, seed)
    data = study.dataset
    asked = np.concatenate([_last_day(data, study.unseen_edit), _last_day(data, study.unseen_combination)])
    train = _last_day(data, study.train)
    cells = data.subset(train).cells
    assert cells is not None
    related = np.abs(np.corrcoef(cells.values.toarray().T)) - np.eye(len(data.genes))
    near = np.argsort(-related, axis=1)[:, :CORRELATES]
    terms = [(gene, f"near {gene}") for gene in data.genes]
    terms += [(data.genes[j], f"near {gene}") for gene, row in zip(data.genes, near, strict=True) for j in row]
    split = Split(name="last day", train=train, test=asked, seed=seed)
    write_task(data, split, pd.DataFrame(terms, columns=["gene", "term"]), folder)


def score(kind: str, seed: int, folder: Path) -> None:
    """Fit what is not there as a file, and score all on the same conditions."""
    done, written = folder / "scores.tsv", sorted((folder / "predicted").glob("*.tsv"))
    if done.exists() and set(pd.read_csv(done, sep="\t")["method"]) >= {file.stem for file in written}:
        return
    study = _study(kind, seed)
    train = study.dataset.subset(study.train)
    began = time.process_time()
    model = fit(train, FitConfig(max_step_hours=24.0, seed=seed), targets=study.world.genes)
    seconds = {MODEL: time.process_time() - began}
    found: dict[str, AbstractPredictor] = {MODEL: model}
    for method in baseline_methods():
        with contextlib.suppress(DataError):  # of baselines for single cells and for differentiating ones
            found[method.name] = method.fit(replace(train, cells=None), seed)
    for file in written:
        found[file.stem] = FromFile(file, study.dataset.genes)
        if (told := folder / f"{file.stem}.seconds").exists():
            seconds[file.stem] = float(told.read_text())
    rows = []
    for split, held in (("knock-outs", study.unseen_edit), ("pairs", study.unseen_combination)):
        at = _last_day(study.dataset, held)
        conditions = [study.dataset.conditions[row] for row in at]
        edited = np.array([[g in {e.gene for e in c.edits} for g in study.dataset.genes] for c in conditions])
        for name, predictor in found.items():
            try:
                mean = predictor.predict_conditions(conditions).mean
            except DataError:  # persistence, of what was never harvested
                continue
            error = np.where(edited, np.nan, (mean - study.true_mean[at]) ** 2)
            row = {"kind": kind, "world": seed, "split": split, "method": name, "mse": float(np.nanmean(error))}
            rows.append(row | {"seconds": seconds.get(name, np.nan)})
    pd.DataFrame(rows).to_csv(done, sep="\t", index=False, float_format="%.6g")


def write_page(scores: pd.DataFrame, worlds: int) -> None:
    """Ratios to the best simple baseline of each world and split, with intervals over worlds."""
    wide = scores.pivot_table(index=["split", "kind", "world"], columns="method", values="mse")
    peers = [name for name in PEERS if name in wide]
    simple = wide.drop(columns=[MODEL, *peers])
    lines = [
        "| asked | method | error, ratio to the best simple baseline [95 %] | better than it in | the model's error, ratio to the method's [95 %] | the model is better in |",
        "|---|---|---|---|---|---|",
    ]
    for split, part in wide.groupby(level="split", sort=False):
        best = simple.loc[part.index].min(axis=1)
        for name in (MODEL, *peers, *simple.loc[part.index].mean().sort_values().index[:3]):
            against = ["", ""] if name == MODEL else [_ratio(part[MODEL] / part[name]), _won(part[MODEL] / part[name])]
            cells = [split, name, _ratio(part[name] / best), _won(part[name] / best), *against]
            lines.append(f"| {' | '.join(map(str, cells))} |")
    told = scores.dropna(subset=["seconds"]).groupby("method")["seconds"].agg(["median", "count"])
    times = ["", "| method | seconds of CPU for a world, median | worlds |", "|---|---|---|"]
    times += [f"| {name} | {row['median']:.0f} | {int(row['count'] / 2)} |" for name, row in told.iterrows()]
    head = HEAD.format(
        when=time.strftime("%Y-%m-%d"),
        first=FIRST_WORLD,
        last=FIRST_WORLD + worlds - 1,
        worlds=worlds,
        correlates=CORRELATES,
    )
    text = head + "\n".join(lines) + "\n" + FOOT + "\n".join(times) + "\n"
    (RESULTS / "peer_worlds.md").write_text(text, encoding="utf-8")
    scores.to_csv(RESULTS / "peer_worlds.tsv", sep="\t", index=False)


def _ratio(ratio: pd.Series) -> str:
    logs = np.log(ratio.dropna().to_numpy())
    draws = logs[np.random.default_rng(0).integers(0, len(logs), (4000, len(logs)))].mean(axis=1)
    low, high = np.exp(np.quantile(draws, [0.025, 0.975]))
    return f"{np.exp(logs.mean()):.2f} [{low:.2f}, {high:.2f}]"


def _won(ratio: pd.Series) -> str:
    return f"{int((ratio < 1).sum())} of {ratio.notna().sum()}"


if __name__ == "__main__":
    main()
