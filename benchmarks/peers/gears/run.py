"""GEARS on one exported task: ``python run.py FOLDER`` in an environment with ``requirements.txt`` writes ``predicted/GEARS.tsv``.

Roohani et al. 2024 (doi:10.1038/s41587-023-01905-6), package cell-gears. It downloads gene ontology on construction; offline, the file that it looks
for is written beforehand from ``terms.tsv``, so that edits are related by those groups instead of by GO terms.
"""

from __future__ import annotations

import argparse
import os
import pickle
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
from gears import GEARS, PertData


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    folder = given.folder.resolve()
    work = folder / "gears"
    (work / "data").mkdir(parents=True, exist_ok=True)
    os.chdir(work)  # GEARS writes its graph of edits into the folder "data" of where it runs, which it does not make
    adata = ad.read_h5ad(folder / "train.h5ad")
    asked = pd.read_csv(folder / "asked.tsv", sep="\t")["condition"].tolist()
    terms = pd.read_csv(folder / "terms.tsv", sep="\t").groupby("gene")["term"].agg(set).to_dict()
    edited = {name for name in adata.obs["condition"].unique() if name != "ctrl"}
    edited |= {gene for name in asked for gene in name.split("+")}
    known = {gene: terms.get(gene, {gene}) for gene in edited | set(adata.var_names)}
    (work / "gene2go_all.pkl").write_bytes(pickle.dumps(known))
    adata.obs["condition"] = [c if c == "ctrl" else f"{c}+ctrl" for c in adata.obs["condition"].astype(str)]
    adata.obs["cell_type"] = "cell"
    adata.var["gene_name"] = adata.var_names
    adata.uns["log1p"] = {"base": None}
    data = PertData(str(work), default_pert_graph=False)
    data.new_data_process(dataset_name="task", adata=adata)
    # An edit that is only asked is a node of the graph of edits as well.
    data.pert_names = np.unique(list(known))
    data.node_map_pert = {name: place for place, name in enumerate(data.pert_names)}
    data.prepare_split(split="no_test", seed=given.seed)
    data.get_dataloader(batch_size=32, test_batch_size=128)
    model = GEARS(data, device="cpu")
    model.model_initialize(hidden_size=64)
    model.train(epochs=given.epochs)
    genes_of = {name: name.split("+") for name in asked}
    predicted = model.predict(list(genes_of.values()))
    table = pd.DataFrame(
        [predicted["_".join(genes)] for genes in genes_of.values()], index=asked, columns=list(adata.var_names)
    )
    (folder / "predicted").mkdir(exist_ok=True)
    table.to_csv(folder / "predicted" / "GEARS.tsv", sep="\t")


if __name__ == "__main__":
    main()
