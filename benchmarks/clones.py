"""Clonal barcodes in vivo, and gene expression in the liver: held-out times against interpolation.

``python -m benchmarks.clones`` writes ``results/clones.md``. It takes the barcodes of a macaque (Wu 2018), a mouse (Belderbos 2019) and a human (Six 2020) after transplantation of marked stem cells.
"""

from __future__ import annotations

import datetime
import time
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.clones_words import against_best, said
from benchmarks.founders import markdown
from benchmarks.sets_common import shared_data
from semimech.abundance import follow_clones
from semimech.abundance.clones import log_shares

RESULTS = Path(__file__).parent / "results"
MOST_CLONES, LEAST_READS = 300, 30
"""Clones with most reads in training samples, and the reads that they must have in at least one of them."""
SETS = {
    "macaque ZJ31 (Wu 2018)": (
        "WuC_etal_appdata/sample_data_ZJ31.txt",
        "WuC_etal_appdata/sample_metadata_ZJ31.txt",
        "months",
    ),
    "human WAS5 (Six 2020)": ("SixE_etal/WAS5_reads.txt", "SixE_etal/WAS5_metadata.txt", "months"),
    "mouse C21 (Belderbos 2019), blood": (
        "BelderbosME_etal/count_matrix_mouse_C21.txt",
        "BelderbosME_etal/metadata_mouse_C21.txt",
        "weeks",
    ),
}


def read_set(counts: str, metadata: str, unit: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Reads, and the lineage and time of each sample of which there are several times."""
    folder = shared_data() / "barcodetrackr_invivo"
    table = pd.read_csv(folder / counts, sep="\t", index_col=0)
    sheet = pd.read_csv(folder / metadata, sep="\t").set_index("SAMPLENAME").reindex(table.columns)
    if "organ" in sheet:
        sheet = sheet[(sheet["organ"] == "PB") & (sheet["celltype"] == "bulk")]
    samples = pd.DataFrame({"lineage": sheet["celltype"], "time": sheet[unit].astype(float)})
    return table[samples.index], samples


def chosen(counts: np.ndarray) -> np.ndarray:
    """Clones that are followed, by training samples alone."""
    size = (counts / counts.sum(axis=0)).max(axis=1)
    seen = counts.max(axis=1) >= LEAST_READS
    return np.flatnonzero(seen)[np.argsort(-size[seen])[:MOST_CLONES]]


def baselines(log_share: np.ndarray, samples: pd.DataFrame, lineage: str, at: float) -> dict[str, np.ndarray]:
    """What a lineage's training samples say of a time, each clone by itself."""
    own = np.flatnonzero((samples["lineage"] == lineage).to_numpy())
    own = own[np.argsort(samples["time"].to_numpy()[own])]
    times, values = samples["time"].to_numpy()[own], log_share[:, own]
    before = values[:, np.searchsorted(times, at) - 1] if (times < at).any() else values[:, 0]
    found = {"persistence": before, "mean of times": values.mean(axis=1)}
    if at <= times[-1]:  # beyond the last time a line between neighbours is persistence
        return found | {"linear in log share": np.array([np.interp(at, times, row) for row in values])}
    if len(times) > 1:
        slope = (values[:, -1] - values[:, -2]) / (times[-1] - times[-2])
        found["trend"] = values[:, -1] + slope * (at - times[-1])
    return found


def held_out(name: str) -> list[dict[str, object]]:
    """Each inner time and the last, held out in all lineages at once."""
    table, samples = read_set(*SETS[name])
    counts = table.to_numpy(float)
    rows = []
    times = np.unique(samples["time"])
    for at in times[1:]:
        test = (samples["time"] == at).to_numpy()
        train = counts[:, ~test]
        clones = chosen(train)
        sheet = samples[~test].reset_index(drop=True).assign(reads=train.sum(axis=0))
        began = time.process_time()
        model = follow_clones(train[clones], sheet)
        lineages = samples["lineage"][test].tolist()
        mean, sd = model.predict(lineages, [at] * len(lineages))
        seconds = time.process_time() - began
        log_train = log_shares(train[clones], train.sum(axis=0))
        size = train[clones].sum(axis=1)
        for column, (sample, lineage) in enumerate(zip(np.flatnonzero(test), lineages, strict=True)):
            reads = counts[clones, sample]
            truth = log_shares(reads, counts[:, sample].sum())
            guesses = {"semimech": mean[:, column], **baselines(log_train, sheet, lineage, at)}
            error = (
                sd[:, column] ** 2 + model.law.noise + 1.0 / (np.exp(mean[:, column]) * counts[:, sample].sum() + 0.5)
            )
            covered = float(np.mean(np.abs(truth - mean[:, column]) < 1.645 * np.sqrt(error)))
            for method, guess in guesses.items():
                squared = (guess - truth) ** 2
                rows.append(
                    {
                        "set": name,
                        "time": at,
                        "kind": "last time" if at == times[-1] else "inner time",
                        "lineage": lineage,
                        "method": method,
                        "rmse": float(np.sqrt(squared.mean())),
                        "weighted": float(np.sqrt(np.average(squared, weights=size))),
                        "covered": covered if method == "semimech" else np.nan,
                        "clones": len(clones),
                        "zeros": float((reads == 0).mean()),
                        "seconds": seconds,
                    }
                )
    return rows


def summary(rows: pd.DataFrame) -> pd.DataFrame:
    """Root mean squared error of the logarithm of a share; ratios are geometric means over samples."""
    shown = []
    for (name, kind), table in rows.groupby(["set", "kind"], sort=False):
        wide = table.pivot_table(index=["time", "lineage"], columns="method", values="rmse")
        line = {
            "set": name,
            "held out": f"{kind}, {len(wide)} samples",
            "clones": f"{table['clones'].min()}–{table['clones'].max()}",
        }
        for method in ("semimech", "persistence", "linear in log share", "mean of times", "trend"):
            line[method] = f"{wide[method].mean():.2f}" if method in wide else "–"
        line["over the best"] = against_best(wide, table)
        line["90 % interval covers"] = f"{table['covered'].mean():.0%}"
        shown.append(line)
    return pd.DataFrame(shown)


def found_clones() -> pd.DataFrame:
    """How many clones grow, shrink and lean, all samples in."""
    shown = []
    for name, files in SETS.items():
        table, samples = read_set(*files)
        counts = table.to_numpy(float)
        clones = chosen(counts)
        model = follow_clones(counts[clones], samples.assign(reads=counts.sum(axis=0)).reset_index(drop=True))
        growth, bias = model.growth, model.bias
        lean = bias[(bias["lower"] > np.log(2.0)) | (bias["upper"] < -np.log(2.0))]
        law = model.law
        span = float(np.ptp(samples["time"]))
        shown.append(
            {
                "set": name,
                "clones": len(clones),
                "grow": int((growth["lower"] > 0).sum()),
                "shrink": int((growth["upper"] < 0).sum()),
                "lean twofold to or from a lineage": f"{lean['clone'].nunique()}"
                if samples["lineage"].nunique() > 1
                else "–",
                "sd of size / bias": f"{np.sqrt(law.size):.2f} / " + (f"{np.sqrt(law.bias):.2f}" if law.bias else "–"),
                "sd of growth / of lineages apart, over all times": f"{np.sqrt(law.growth * span):.2f} / "
                + (f"{np.sqrt(law.turnover * span):.2f}" if law.turnover else "–"),
                "sd of noise": f"{np.sqrt(law.noise):.2f}",
            }
        )
    return pd.DataFrame(shown)


def liver() -> tuple[np.ndarray, pd.DataFrame]:
    """Counts of genes in livers of clock mutants and their wild types, replicates added up, each genotype at each time."""
    path = shared_data() / "multirnaflow_bulk" / "RawCounts_Weger2021_MOUSEsub500.csv.gz"
    table = pd.read_csv(path, index_col=0)
    names = table.columns.str.extract(r"(?P<lineage>\w+)_t(?P<time>\d+)_r\d+")
    names["time"] = 4.0 * names["time"].astype(float)
    keys = names.groupby(["lineage", "time"]).indices
    samples = pd.DataFrame(list(keys), columns=["lineage", "time"])
    return np.stack([table.to_numpy(float)[:, at].sum(axis=1) for at in keys.values()], axis=1), samples


def held_out_liver() -> pd.DataFrame:
    """Each genotype at each later time, predicted from all else; genes with 100 reads on average."""
    counts, samples = liver()
    genes = np.flatnonzero(counts.mean(axis=1) >= 100)
    log_share = log_shares(counts, counts.sum(axis=0))[genes]
    rows = []
    for column in np.flatnonzero((samples["time"] > 0).to_numpy()):
        lineage, at = samples.loc[column, "lineage"], float(samples.loc[column, "time"])
        kept = np.arange(len(samples)) != column
        sheet = samples[kept].reset_index(drop=True).assign(reads=counts.sum(axis=0)[kept])
        model = follow_clones(counts[genes][:, kept], sheet)
        mean, sd = model.predict([lineage], [at])
        guesses = {"semimech": mean[:, 0], **baselines(log_share[:, kept], sheet, lineage, at)}
        partner = lineage.replace("Ko", "Wt") if lineage.endswith("Ko") else lineage.replace("Wt", "Ko")
        own = kept & (samples["lineage"] == lineage).to_numpy()
        other = (samples["lineage"] == partner).to_numpy()
        same = other & samples["time"].isin(samples["time"][own]).to_numpy()
        now = log_share[:, other & (samples["time"] == at).to_numpy()][:, 0]
        guesses["additive"] = log_share[:, own].mean(axis=1) + now - log_share[:, same].mean(axis=1)
        truth = log_share[:, column]
        error = np.sqrt(sd[:, 0] ** 2 + model.law.noise + 1.0 / (counts[genes, column] + 0.5))
        covered = float(np.mean(np.abs(truth - mean[:, 0]) < 1.645 * error))
        kind = "last time" if at == samples["time"].max() else "inner time"
        for method, guess in guesses.items():
            value = float(np.sqrt(np.mean((guess - truth) ** 2)))
            rows.append(
                {
                    "kind": kind,
                    "time": at,
                    "at": f"{lineage} {at:g} h",
                    "method": method,
                    "rmse": value,
                    "covered": covered,
                }
            )
    return pd.DataFrame(rows)


def liver_summary(rows: pd.DataFrame) -> pd.DataFrame:
    shown = []
    for kind, table in rows.groupby("kind"):
        wide = table.pivot(index="at", columns="method", values="rmse")
        line: dict[str, object] = {"held out": f"{kind}, {len(wide)} samples"}
        for method in ("semimech", "additive", "linear in log share", "mean of times", "persistence"):
            line[method] = f"{wide[method].mean():.3f}" if method in wide else "–"
        line["over the best"] = against_best(wide, table)
        line["90 % interval covers"] = f"{table['covered'].mean():.0%}"
        shown.append(line)
    return pd.DataFrame(shown)


def page(rows: pd.DataFrame) -> str:
    clones, in_liver = found_clones(), held_out_liver()
    return (
        "\n\n".join(
            [
                "# Clones in vivo",
                f"`python -m benchmarks.clones`, {datetime.date.today()}, 2 cores; no randomness. A fit takes {rows['seconds'].median():.1f} s.",
                f"Barcodes of stem cells after transplantation; at most {MOST_CLONES} clones, those of the largest shares in training samples, with {LEAST_READS} reads in one of them at least. A time is held out in all lineages at once, and the "
                "logarithm of each clone's share is predicted there.",
                "## Held-out times",
                "Root mean squared error of natural logarithms, mean over samples; the last columns compare semimech with the baseline that is best on the test samples (which favours it), a ratio below 1 is better, and say how often its 90 % interval for the count "
                "holds it. Lineages of one time are no independent samples: in brackets are the least and the most over held-out times, of which there are too few for an interval.",
                markdown(summary(rows)),
                "## Growth and bias",
                "Clones whose 90 % interval of growth lies on one side of 0, and whose interval of bias lies beyond twofold.",
                markdown(clones),
                "## Liver, genotype by time",
                "Bulk RNA of livers of Bmal1 and Cry1/2 mutants and their wild types, six times four hours apart (Weger 2021; 500 genes). The same law: a gene is a clone, a genotype a lineage. One genotype at one time is predicted from all else; "
                "“additive” is the genotype's mean and the partner genotype's course.",
                markdown(liver_summary(in_liver)),
                "## What the numbers say",
                said(rows, clones, in_liver),
            ]
        )
        + "\n"
    )


def main() -> None:
    rows = pd.DataFrame([row for name in SETS for row in held_out(name)])
    rows.to_csv(RESULTS / "clones.tsv", sep="\t", index=False, float_format="%.5g")
    (RESULTS / "clones.md").write_text(page(rows), encoding="utf-8")


if __name__ == "__main__":
    main()
