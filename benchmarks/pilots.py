"""`semimech pilot` on four published sets and a bad one: verdicts and the figures behind them.

``python -m benchmarks.pilots --pages FOLDER`` writes ``results/pilots.md`` and ``.tsv``, and the reports into the folder; ``--only NAME`` one set.
"""

from __future__ import annotations

import argparse
import platform
import sys
import time
from collections.abc import Callable
from pathlib import Path

import jax
import numpy as np
import pandas as pd

from benchmarks import sets
from semimech import FitConfig
from semimech.data import Dataset, Examination, check, dataset_from_anndata
from semimech.design import Prices
from semimech.experiment import Edit
from semimech.model import PriorNetwork, read_regulon
from semimech.pipeline.pilot import run_pilot
from semimech.report.pilot import PilotContent, write_pilot
from semimech.simulate import ScreenDesign, WorldRecipe, random_world, screen_experiments, simulate_screen

RESULTS = Path(__file__).parent / "results"
CONFIG = FitConfig(
    steady_state="none",
    sparsities=(0.02, 0.1),
    n_folds=2,
    n_members=2,
    n_steps=60,
    validation_steps=60,
    checkpoint_every=60,
)
N_GENES = 80
Made = tuple[Examination, Dataset | None, PriorNetwork | None]
FINE = Examination(findings=pd.DataFrame({"severity": [], "check": [], "evidence": [], "mend": []}))


def papalexi(root: Path) -> Made:
    return FINE, sets.most_counted(sets.read_papalexi(root), n_genes=N_GENES), None


def renge(root: Path) -> Made:
    return FINE, sets.read_renge(root), None


def morphic(root: Path) -> Made:
    dataset = sets.read_morphic(root, "PrS")
    rows = np.flatnonzero(~dataset.is_control)
    small = sets.most_varying(dataset, rows, n_genes=N_GENES)
    prior = PriorNetwork(edges=read_regulon(root / "priors" / "collectri.csv"))
    return FINE, small, prior


def hpn(root: Path) -> Made:
    return FINE, sets.read_hpn(root, "MCF7").dataset, None


def bad(root: Path) -> Made:
    """Eight edits of regulators with hardly an effect, six cells each, and unedited cells in one of three batches, which no edit shares."""
    del root
    world = random_world(WorldRecipe(n_genes=40, n_regulators=10, strength=0.2), key=jax.random.key(0))
    design = ScreenDesign(
        experiments=screen_experiments([(Edit(gene=g),) for g in world.genes[:8]], (4,)),
        cells=6,
        control_cells=30,
        n_batches=3,
    )
    data = simulate_screen(world, design, key=jax.random.key(1))
    is_control = (data.obs["perturbation"] == "control").to_numpy()
    first = (data.obs["batch"] == data.obs["batch"].unique()[0]).to_numpy()
    data = data[first == is_control].copy()
    return Examination(findings=check(data)), dataset_from_anndata(data, name="bad"), None


SETS: dict[str, tuple[str, Callable[[Path], Made]]] = {
    "papalexi": ("Papalexi", papalexi),
    "renge": ("RENGE days 2–4", renge),
    "morphic": ("MorPhiC PrS", morphic),
    "hpn": ("HPN-DREAM8 MCF7", hpn),
    "bad": ("a bad set", bad),
}


def figures(content: PilotContent, seconds: float, *, is_checked: bool) -> dict[str, object]:
    """One row of the table."""
    row: dict[str, object] = {
        "set": content.title,
        "verdict": content.verdict,
        "seconds": seconds,
        "checked": is_checked,
    }
    for name, stage in zip(("data", "mechanism", "value"), content.stages, strict=False):
        row[name] = stage.verdict
        row[f"{name}_why"] = "; ".join(stage.reasons)
        row[f"{name}_mend"] = "; ".join(stage.mends[:4])
    return row


def page(table: pd.DataFrame) -> str:
    """The results as text."""
    lines = [
        "# Pilots on published sets, and on a bad one",
        "",
        f"- {time.strftime('%Y-%m-%d')}; {platform.machine()}, 2 cores shared with other work, one of them used, {table['seconds'].sum():.0f} s. Command: `python -m benchmarks.pilots --pages FOLDER`; seed 0, three folds.",
        f"- At most {N_GENES} genes beside the edited ones (most abundant, or most varying), cheap fits ({CONFIG.n_members} members, {CONFIG.n_steps} steps, two sparsities, no steady-state loss). MorPhiC: CollecTRI as a soft prior.",
        f"- `semimech check` was skipped for {', '.join(table['set'][~table['checked'].astype(bool)])}, which are read in as their authors left them: there *data* is judged by controls, edits, cells, reliability and batches alone.",
        "- *Bad*: eight regulators with hardly an effect, six cells each; unedited cells only in a batch that no edit shares.",
        "",
        "| set | data | mechanism | value | verdict |",
        "|---|---|---|---|---|",
    ]
    for row in table.fillna("not judged").itertuples():
        lines.append(f"| {row.set} | {row.data} | {row.mechanism} | {row.value} | **{row.verdict}** |")
    for row in table.fillna("").itertuples():
        lines += ["", f"## {row.set}: {row.verdict}", ""]
        for name, title in (("data", "Data"), ("mechanism", "Mechanism"), ("value", "Value")):
            if why := getattr(row, f"{name}_why"):
                lines.append(f"- {title}, *{getattr(row, name)}*: {why}.")
            if mend := getattr(row, f"{name}_mend"):
                lines.append(f"  To mend: {mend}.")
    return "\n".join(lines) + "\n"


def main(arguments: list[str] | None = None) -> None:
    """Run and write the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=tuple(SETS))
    parser.add_argument("--pages", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=RESULTS)
    given = parser.parse_args(arguments)
    root = sets.shared_data()
    if root is None:
        sys.exit("the shared data are not there: set SEMIMECH_SHARED_DATA to their folder")
    file = given.out / "pilots.tsv"
    for name, (title, read) in SETS.items():
        if given.only in (None, name):
            began = time.monotonic()
            examination, dataset, prior = read(root)
            content = run_pilot(
                examination, dataset, CONFIG, Prices(edit=100.0, harvest=50.0, cell=0.1), title=title, prior=prior
            )
            write_pilot(content, given.pages / name)
            row = pd.DataFrame([figures(content, time.monotonic() - began, is_checked=examination is not FINE)])
            before = pd.read_csv(file, sep="\t") if file.exists() else pd.DataFrame({"set": []})
            pd.concat([before[before["set"] != title], row]).to_csv(file, sep="\t", index=False)
            print(f"{title}\t{content.verdict}\t{time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
            jax.clear_caches()
    order = [title for title, _ in SETS.values()]
    table = pd.read_csv(file, sep="\t").set_index("set").reindex(order).dropna(how="all").reset_index()
    (given.out / "pilots.md").write_text(page(table), encoding="utf-8")


if __name__ == "__main__":
    main()
