"""Whether an unseen edit gains by borrowing from edits that are like it: Papalexi, MorPhiC and simulated screens, with shuffled tables beside.

``python -m benchmarks.likeness`` writes ``results/likeness.md`` and ``.tsv``; ``--only papalexi`` one part of it. What is scored is what edits lend
(`semimech.fit.borrow`), without a law, so that it takes minutes; ``--fits`` adds whole fits on simulated screens.
"""

from __future__ import annotations

import argparse
import datetime
import platform
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pandas as pd

from benchmarks.design_errors import markdown
from benchmarks.design_papalexi import read_screen
from benchmarks.likeness_sets import pathways, read_morphic
from benchmarks.sets import noisy_prior, shared_data
from semimech.data import Dataset, dataset_from_anndata
from semimech.fit import FitConfig, fit
from semimech.fit.borrow import Borrowing, learn_borrowing
from semimech.fit.pooling import best_shares
from semimech.fit.problem import data_weight, edited_genes
from semimech.fit.select import edit_folds
from semimech.model import Kinship, PriorNetwork, merge_regulons, read_complexes, read_regulon
from semimech.simulate import ipsc_maintenance, simulate_screen

RESULTS = Path(__file__).parent / "results"
Known = dict[str, Any]


def shuffled(known: Known, rng: np.random.Generator, targets: list[str]) -> Known:
    """The same tables with the edited genes renamed among themselves."""
    other = dict(zip(targets, rng.permutation(np.array(targets, object)), strict=True))
    found: Known = {}
    if "prior" in known:
        edges = known["prior"].edges
        found["prior"] = PriorNetwork(edges=edges.assign(**{c: edges[c].replace(other) for c in ("source", "target")}))
    if "kinship" in known:
        tables = {name: t.assign(gene=t["gene"].replace(other)) for name, t in known["kinship"].complexes.items()}
        found["kinship"] = Kinship(complexes=tables)
    return found


def learn(train: Dataset, known: Known, seed: int = 0) -> tuple[Borrowing, np.ndarray]:
    """What is borrowed, and the shares in which inner validation adds it up."""
    weight = data_weight(train) * (~edited_genes(train) & ~train.is_control[:, None])
    given = {"prior": None, "kinship": None} | known
    found = learn_borrowing(train, edit_folds(train, 3, seed=seed), weight, seed=seed, **given)
    changes = train.mean - np.stack([train.matched_control(c) for c in train.conditions])
    return found, best_shares(found.steps, changes, weight)


def rows_of(dataset: Dataset, arms: dict[str, Known]) -> Iterator[dict[str, object]]:
    """Each edited gene left out in turn: error and correlation of its change, own gene apart, for the mean of edits and each arm."""
    own = edited_genes(dataset)
    names = sorted({name for name in dataset.perturbations if name != "control" and "+" not in name})
    for gene in names:
        carries = np.array([gene in name.split("+") for name in dataset.perturbations])
        train = dataset.subset(~carries)
        tested = [row for row in np.flatnonzero(carries) if dataset.perturbations[row] == gene]
        control = np.stack([train.matched_control(dataset.conditions[row]) for row in tested])
        change, keep = dataset.mean[tested] - control, ~own[tested]
        noise = np.nan_to_num(dataset.standard_error[tested] ** 2)
        signal = float((change**2)[keep].mean() - noise[keep].mean())
        common = {"edit": gene, "size": np.sqrt(max(signal, 0.0)), "has_signal": signal > noise[keep].mean()}
        for name, known in arms.items():
            found, shares = learn(train, known)
            loans = [found.lender.loan(dataset.conditions[row], {gene}) for row in tested]
            steps = np.stack([loan.steps for loan in loans])
            guesses = {name: steps @ shares}
            if name == "no table":
                guesses |= {"mean of edits": steps[..., 0], "no change": np.zeros_like(change)}
            for arm, guess in guesses.items():
                yield common | {
                    "arm": arm,
                    "mse": float(((guess - change) ** 2)[keep].mean()),
                    "r": _r(guess[keep], change[keep]),
                }


def _r(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.corrcoef(a, b)[0, 1]) if a.std() > 0 and b.std() > 0 else float("nan")


def summary(rows: pd.DataFrame, *, seed: int = 0) -> pd.DataFrame:
    """Per set, stratum and arm: mean correlation, and error over that of the mean of edits with a 95 % bootstrap over edits."""
    lines = []
    rng = np.random.default_rng(seed)
    mean = rows[rows["arm"] == "mean of edits"].set_index(["set", "edit"])["mse"]
    for (name, has_signal), part in rows.groupby(["set", "has_signal"], sort=False):
        for arm, each in part.groupby("arm", sort=False):
            against = mean.reindex(pd.MultiIndex.from_frame(each[["set", "edit"]])).to_numpy()
            mse = each["mse"].to_numpy()
            draws = rng.integers(len(mse), size=(2000, len(mse)))
            ratio = mse[draws].sum(axis=1) / against[draws].sum(axis=1)
            low, high = np.quantile(ratio, [0.025, 0.975])
            lines.append(
                {
                    "set": name,
                    "edits": f"{'with' if has_signal else 'without'} signal ({each['edit'].nunique()})",
                    "arm": arm,
                    "r": each["r"].mean(),
                    "error / mean of edits": f"{mse.sum() / against.sum():.3f} [{low:.3f}, {high:.3f}]",
                    "better": f"{int((mse < against).sum())}/{len(mse)}",
                }
            )
    return pd.DataFrame(lines)


def papalexi(n_shuffles: int) -> pd.DataFrame:
    root = shared_data() / "priors"
    corum = read_complexes(root / "corum_human_2018.csv.gz")
    network = PriorNetwork(edges=merge_regulons({"CollecTRI": read_regulon(root / "collectri.csv")}))
    table = {"kinship": Kinship(complexes={"pathways": pathways()})}
    arms: dict[str, Known] = {
        "no table": {},
        "CORUM": {"kinship": Kinship(complexes={"CORUM": corum})},
        "CollecTRI": {"prior": network},
        "pathways by hand": table,
        "all three": {"prior": network, "kinship": Kinship(complexes={"CORUM": corum, "pathways": pathways()})},
    }
    dataset = read_screen()
    targets = sorted({name for name in dataset.perturbations if name != "control"})
    for seed in range(n_shuffles):
        arms[f"pathways shuffled {seed}"] = shuffled(table, np.random.default_rng(seed), targets)
    return pd.DataFrame(rows_of(dataset, arms)).assign(set="Papalexi")


def morphic(n_shuffles: int) -> pd.DataFrame:
    root = shared_data()
    corum = {"kinship": Kinship(complexes={"CORUM": read_complexes(root / "priors" / "corum_human_2018.csv.gz")})}
    network = {"prior": PriorNetwork(edges=read_regulon(root / "priors" / "collectri.csv"))}
    tables = []
    for system in ("PrS", "CBO"):
        dataset = read_morphic(root, system)
        targets = sorted({name for name in dataset.perturbations if name != "control"})
        arms: dict[str, Known] = {"no table": {}, "CORUM": corum, "CollecTRI": network}
        for seed in range(n_shuffles):
            arms[f"CollecTRI shuffled {seed}"] = shuffled(network, np.random.default_rng(seed), targets)
        tables.append(pd.DataFrame(rows_of(dataset, arms)).assign(set=dataset.name))
    return pd.concat(tables, ignore_index=True)


def _screen(seed: int, **sizes: int) -> tuple[Dataset, pd.DataFrame]:
    """A simulated screen, and its network."""
    world_key, screen_key = jax.random.split(jax.random.key(seed))
    world, design = ipsc_maintenance(**sizes, key=world_key)
    screen = simulate_screen(world, design, key=screen_key)
    dataset = dataset_from_anndata(screen, name=f"screen {seed}")
    return dataset, world.network


def simulated(n_seeds: int) -> pd.DataFrame:
    tables = []
    for seed in range(n_seeds):
        dataset, edges = _screen(seed, n_genes=60, n_edits=24, n_doubles=6)
        prior = noisy_prior(edges, dataset.genes, rng=np.random.default_rng(seed))
        known: Known = {"prior": PriorNetwork(edges=prior)}
        names = sorted(dataset.genes)
        arms = {
            "no table": {},
            "true edges + 20 % false": known,
            "the same, shuffled": shuffled(known, np.random.default_rng(seed), names),
        }
        tables.append(pd.DataFrame(rows_of(dataset, arms)).assign(set="simulated, 60 genes", seed=seed))
        jax.clear_caches()
    table = pd.concat(tables, ignore_index=True)
    return table.assign(edit=table["edit"] + " of " + table["seed"].astype(str))


def fits(n_seeds: int) -> pd.DataFrame:
    """Whole fits, with and without borrowing, on a third of the edits of small screens held out together."""
    lines = []
    config = FitConfig(n_members=2, n_folds=3, sparsities=(0.1,), steady_state="none")
    for seed in range(n_seeds):
        dataset, _ = _screen(seed, n_genes=40, n_edits=18, n_doubles=2)
        fold = edit_folds(dataset, 3, seed=seed)[0]
        train, own = dataset.subset(~fold), edited_genes(dataset)
        rows = [row for row in np.flatnonzero(fold) if "+" not in dataset.perturbations[row]]
        conditions = [dataset.conditions[row] for row in rows]
        control = np.stack([train.matched_control(c) for c in conditions])
        found, _ = learn(train, {})
        unseen = [{dataset.perturbations[row]} for row in rows]
        mean = control + np.stack([found.lender.loan(c, u).mean for c, u in zip(conditions, unseen, strict=True)])
        guesses = {"no change": control, "mean of edits": mean}
        for name in ("none", "validated"):
            model = fit(train, replace(config, borrowing=name, seed=seed), targets=tuple(n for u in unseen for n in u))
            guesses[f"fit, borrowing {name}"] = model.predict_conditions(conditions).mean
            jax.clear_caches()
        for name, guess in guesses.items():
            for place, row in enumerate(rows):
                miss = (guess[place] - dataset.mean[row])[~own[row]]
                lines.append(
                    {
                        "set": "simulated, 40 genes, whole fits",
                        "edit": f"{dataset.perturbations[row]} of {seed} at {dataset.hours[row]:g} h",
                        "arm": name,
                    }
                    | {"mse": float((miss**2).mean()), "has_signal": True, "size": float("nan")}
                    | {
                        "r": _r(
                            (guess[place] - control[place])[~own[row]], (dataset.mean[row] - control[place])[~own[row]]
                        )
                    }
                )
    return pd.DataFrame(lines)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=("papalexi", "morphic", "simulated", "fits"))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--shuffles", type=int, default=3)
    parser.add_argument("--fits", type=int, default=0, help="screens for whole fits")
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args(arguments)
    began = time.perf_counter()
    parts = {
        "papalexi": lambda: papalexi(options.shuffles),
        "morphic": lambda: morphic(options.shuffles),
        "simulated": lambda: simulated(options.seeds),
        "fits": lambda: fits(options.fits) if options.fits else pd.DataFrame(),
    }
    rows = pd.concat([make() for name, make in parts.items() if options.only in (None, name)], ignore_index=True)
    minutes = (time.perf_counter() - began) / 60
    rows.round(6).to_csv(options.out / "likeness.tsv", sep="\t", index=False)
    strong = rows[(rows["set"] == "Papalexi") & rows["has_signal"]]
    per_edit = (
        strong.pivot_table(index=["edit", "size"], columns="arm", values=["r"], sort=False)["r"].reset_index()
        if len(strong)
        else pd.DataFrame()
    )
    text = [
        "# Borrowing from edits that are alike",
        "",
        f"- {datetime.date.today()}, {platform.machine()}, 2 cores shared with others, {minutes:.0f} minutes.",
        f"- Command: `python -m benchmarks.likeness --seeds {options.seeds} --shuffles {options.shuffles} --fits {options.fits}`.",
        "",
        markdown(summary(rows)),
        "",
        *(
            [
                "Papalexi, edits with signal, correlation of the predicted with the measured change over the other genes.",
                "",
                markdown(per_edit),
            ]
            if len(strong)
            else []
        ),
    ]
    (options.out / "likeness.md").write_text("\n".join(text) + "\n", encoding="utf-8")
    print("\n".join(text))


if __name__ == "__main__":
    main()
