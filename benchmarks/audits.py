"""The audit of six published data sets, a page each in `docs/audits/`: `python -m benchmarks.audits`."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import scipy.sparse as sp

from benchmarks import sets
from benchmarks.audits_words import PAGES, Page
from benchmarks.sets_common import read_table
from benchmarks.sets_yeast import read_yeast
from semimech.assumptions import ASSUMPTIONS
from semimech.assumptions.catalogue import ACYCLIC
from semimech.assumptions.diagnostics import Audit, Finding, audit_screen
from semimech.assumptions.diagnostics.audit import CONTRASTS, find
from semimech.assumptions.diagnostics.finding import untested
from semimech.assumptions.diagnostics.training import screen_of
from semimech.data import CellSystem, Dataset
from semimech.data.dataset import Cells
from semimech.data.scale import identity_scale
from semimech.data.screen import Screen
from semimech.experiment import parse_experiment

DOCS = Path(__file__).resolve().parents[1] / "docs" / "audits"
STAND_INS = 12
"""Values that stand for each mean of bulk data."""
FAR = 0.5
"""Change of a node, in standard deviations of cells, that is looked at."""
SACHS_TARGETS = {"": "control", "1": "Mek", "3": "PIP2", "4": "PIP3", "6": "Akt", "8": "PKC"}


def stand_ins(dataset: Dataset, seed: int = 0) -> Screen:
    """Values with the mean and the standard error of each condition of bulk data, in one batch.

    The audit reads cells; of bulk data there are means with errors. Normal values with exactly that mean, and whose mean has exactly that error,
    stand in for them. Genes then err independently of each other, which real replicates do not quite.
    """
    rng = np.random.default_rng(seed)
    noise = rng.normal(size=(len(dataset.conditions), STAND_INS, len(dataset.genes)))
    noise -= noise.mean(axis=1, keepdims=True)
    noise /= noise.std(axis=1, ddof=1, keepdims=True)
    error = np.nan_to_num(dataset.standard_error, nan=float(np.nanmedian(dataset.standard_error)))
    values = dataset.mean[:, None] + noise * (error * math.sqrt(STAND_INS))[:, None]
    cells = Cells(
        values=sp.csr_matrix(values.reshape(-1, len(dataset.genes))),
        condition=np.repeat(np.arange(len(dataset.conditions)), STAND_INS),
        batch=np.zeros(len(dataset.conditions) * STAND_INS, int),
    )
    return screen_of(dataset, cells)


def of_cells(dataset: Dataset) -> Screen:
    """The cells of a data set."""
    assert dataset.cells is not None
    return screen_of(dataset, dataset.cells)


def read_sachs(root: Path) -> Screen:
    """Cells of the baseline and of the five single-target interventions, log intensities, settled."""
    tables = [read_table(root / "sachs2005" / f"utigsp_iv={key}.txt", separator=",") for key in SACHS_TARGETS]
    protocols = ["wait settled" if t == "control" else f"edit {t} drug > wait settled" for t in SACHS_TARGETS.values()]
    conditions = tuple(parse_experiment(f"{p} > harvest").conditions["harvest"] for p in protocols)
    values = pd.concat(tables)
    genes = tuple(map(str, values.columns))
    mean = np.stack([table.to_numpy(float).mean(axis=0) for table in tables])
    dataset = Dataset(
        genes=genes,
        conditions=conditions,
        mean=mean,
        standard_error=np.stack([table.to_numpy(float).std(axis=0) / math.sqrt(len(table)) for table in tables]),
        n_cells=np.array([len(table) for table in tables]),
        scale=identity_scale(),
        system=CellSystem(name="CD4+ T cells"),
        name="sachs",
    )
    cells = Cells(
        values=sp.csr_matrix(values.to_numpy(float)),
        condition=np.repeat(np.arange(len(tables)), dataset.n_cells),
        batch=np.zeros(len(values), int),
    )
    return screen_of(dataset, cells)


def morphic(root: Path, lineage: str) -> Screen:
    """Contrasts of a lineage, the 500 genes that vary most."""
    whole = sets.read_morphic(root, lineage)
    return stand_ins(sets.most_varying(whole, np.arange(len(whole.conditions)), n_genes=500))


def yeast(root: Path) -> Screen:
    """Both strains, with the error of three replicates pooled over conditions, gene by gene: floored errors would hide what is there."""
    dataset = read_yeast(root)
    samples = read_table(root / "fission_yeast_stress" / "samples.csv", separator=",").set_index("sample")
    counts = read_table(root / "fission_yeast_stress" / "counts.csv.gz", separator=",").drop(columns="gene_id")
    counts = counts.groupby("symbol").sum()
    values = np.log1p(1e6 * counts / counts.sum()).T.loc[samples.index, list(dataset.genes)]
    within = values.groupby([samples["strain"], samples["minute"]]).var().mean()
    error = np.broadcast_to(np.sqrt(within.to_numpy() / 3.0), dataset.mean.shape)
    return stand_ins(replace(dataset, standard_error=error.copy()))


def mutual_effects(screen: Screen) -> Finding:
    """Pairs of edited nodes of which each moves the other far: in a graph without feedback at most one does.

    Each intervention stands in one tube without unedited cells beside it, so that an offset of the tube looks like an effect; this is evidence, no verdict.
    """
    values, annotation = screen.measurement.observed.toarray(), screen.annotation
    rows = {c.perturbation: values[annotation.condition == i] for i, c in enumerate(annotation.conditions)}
    column = {gene: i for i, gene in enumerate(annotation.genes)}
    edited = [name for name in rows if name in column]
    control, spread = rows["control"].mean(axis=0), rows["control"].std(axis=0)
    moved = {
        (a, b): float((rows[a].mean(axis=0) - control)[column[b]] / spread[column[b]])
        for a in edited
        for b in edited
        if a != b
    }
    both = sorted((a, b) for a, b in moved if a < b and min(abs(moved[a, b]), abs(moved[b, a])) >= FAR)
    named = [f"{a} and {b} ({moved[a, b]:+.1f}, {moved[b, a]:+.1f})" for a, b in both]
    said = f"{len(both)} of {len(moved) // 2} pairs of edited nodes move each other by {FAR} standard deviations of cells or more: {', '.join(named) or 'none'}"
    tells = "each intervention beside unedited cells in several tubes"
    return Finding(assumption=ACYCLIC, verdict="cannot tell", evidence=said, would_tell=tells, comparisons=len(moved))


def audit_bulk(screen: Screen) -> Audit:
    """Contrasts of means; what needs cells is left open."""
    found = {f.assumption: f for f in find(screen, [assumption for assumption, _ in CONTRASTS])}
    return Audit(findings=tuple(found.get(a) or untested(a, "means without cells do not show it") for a in ASSUMPTIONS))


def audit_sachs(root: Path) -> Audit:
    """The audit of the cells, and pairs of nodes that move each other."""
    screen = read_sachs(root)
    mutual = mutual_effects(screen)
    return Audit(findings=tuple(mutual if f.assumption == ACYCLIC else f for f in audit_screen(screen).findings))


AUDITS: dict[str, Callable[[Path], Audit]] = {
    "renge": lambda root: audit_screen(of_cells(sets.read_renge(root))),
    "papalexi": lambda root: audit_screen(of_cells(sets.read_papalexi(root))),
    "morphic": lambda root: audit_bulk(morphic(root, "PrS")),
    "hpn-dream8": lambda root: audit_bulk(stand_ins(sets.read_hpn(root, "MCF7").dataset)),
    "fission-yeast": lambda root: audit_bulk(yeast(root)),
    "sachs": audit_sachs,
}


def page_of(page: Page, found: Audit) -> str:
    """A page of Markdown: what was found, and what it means."""
    table = found.table()
    told = table[table["comparisons"] > 0].to_dict("records")
    rows = [
        f"| {row['assumption']} | **{row['verdict']}** | {_in_units(row['evidence'], page)} | {_p(float(row['p_value']))} |"
        for row in told
    ]
    open_rows = table[
        (table["comparisons"] == 0) & ~table["evidence"].str.startswith(("no diagnostic here", "means without"))
    ]
    missing = [f"* {row['assumption']}: {row['evidence']}." for row in open_rows.to_dict("records")]
    families = found.families()
    refuted = families[families["verdict"] == "fails"]
    verdict = [
        f"* {', '.join(f'`{family}`' for family in part['family'])}: {conclusion}."
        for conclusion, part in refuted.groupby("conclusion", sort=False)
    ]
    return "\n".join(
        [
            f"# Audit: {page.title}",
            "",
            "<!-- Written by `python -m benchmarks.audits`. -->",
            "",
            f"{page.data} Source: {page.source}.",
            "",
            page.meaning,
            "",
            *(
                ["| assumption | verdict | evidence | p |", "|---|---|---|---|", *rows]
                if rows
                else ["No assumption could be tested."]
            ),
            "",
            "## What this design cannot tell",
            "",
            *(missing or ["Nothing that the audit has a diagnostic for."]),
            "",
            "## Families that rest on what fails here",
            "",
            *(verdict or ["None: no assumption that was tested fails."]),
            "",
        ]
    )


def _in_units(evidence: str, page: Page) -> str:
    """Bulk data have no cells: stand-ins spread by the square root of their number times the standard error."""
    errors = f"units of {math.sqrt(STAND_INS):.1f} standard errors"
    return evidence.replace("standard deviations of cells", errors) if page.is_bulk else evidence


def _p(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:.3f}"


def main() -> None:
    """Write all pages."""
    root = sets.shared_data()
    if root is None:
        raise SystemExit("set SEMIMECH_SHARED_DATA to the folder of the real data")
    DOCS.mkdir(parents=True, exist_ok=True)
    for name, page in PAGES.items():
        start = time.perf_counter()
        found = AUDITS[name](root)
        (DOCS / f"{name}.md").write_text(page_of(page, found), encoding="utf-8")
        print(f"{name}\t{time.perf_counter() - start:.1f} s", flush=True)


if __name__ == "__main__":
    main()
