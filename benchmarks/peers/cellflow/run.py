"""CellFlow on one exported task: ``python run.py FOLDER`` in an environment with ``requirements.txt`` writes ``predicted/CellFlow.tsv``.

Klein et al. 2025 (doi:10.1101/2025.04.11.648220), package cellflow-tools. Its user supplies an embedding of every edit. Here it is what unedited cells
tell of the edited gene: its loadings on the principal components of their expression. A pair of edits is two tokens, which the package pools by attention.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import anndata as ad
import diffrax
import numpy as np
import pandas as pd
from cellflow.model import CellFlow

CONTROL = "ctrl"
COMPONENTS = 8
CELLS_MOVED = 256
"""Unedited cells that are transported to predict the mean of an edit."""
TOLERANCE = 1e-3
"""Of the transport; a hundred times less than by default, which takes minutes an edit without a GPU."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--iterations", type=int, default=3000)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    adata = ad.read_h5ad(given.folder / "train.h5ad")
    adata.X = np.asarray(adata.X.toarray() if hasattr(adata.X, "toarray") else adata.X, dtype=np.float32)
    asked = pd.read_csv(given.folder / "asked.tsv", sep="\t")["condition"].tolist()
    labels = adata.obs["condition"].astype(str)
    adata.obs["control"] = (labels == CONTROL).to_numpy()
    adata.uns["embeddings"] = embeddings(adata[adata.obs["control"].to_numpy()].X, list(adata.var_names))
    slots = pairs(labels)
    for slot, values in slots.items():
        adata.obs[slot] = pd.Categorical(values, categories=[CONTROL, *adata.var_names])
    flow = CellFlow(adata)
    flow.prepare_data(
        sample_rep="X",
        control_key="control",
        perturbation_covariates={"edit": tuple(slots)},
        perturbation_covariate_reps={"edit": "embeddings"},
        max_combination_length=2,
    )
    flow.prepare_model(
        condition_embedding_dim=32,
        time_freqs=64,
        time_encoder_dims=(128, 128),
        hidden_dims=(256, 256),
        decoder_dims=(256, 256),
        seed=given.seed,
    )
    flow.train(num_iterations=given.iterations, batch_size=256, valid_freq=given.iterations + 1)
    rng = np.random.default_rng(given.seed)
    unedited = np.flatnonzero(adata.obs["control"])
    moved = adata[rng.choice(unedited, min(CELLS_MOVED, len(unedited)), replace=False)].copy()
    covariates = pd.DataFrame(pairs(pd.Series(asked)), index=asked).assign(control=False, condition=asked)
    steps = diffrax.PIDController(rtol=TOLERANCE, atol=TOLERANCE)
    cells = flow.predict(
        moved, covariate_data=covariates, sample_rep="X", condition_id_key="condition", stepsize_controller=steps
    )
    table = pd.DataFrame([cells[name].mean(axis=0) for name in asked], index=asked, columns=list(adata.var_names))
    (given.folder / "predicted").mkdir(exist_ok=True)
    table.to_csv(given.folder / "predicted" / "CellFlow.tsv", sep="\t")


def embeddings(unedited: np.ndarray, genes: list[str]) -> dict[str, np.ndarray]:
    """What unedited cells tell of every gene: standardised loadings on their principal components; zeros where nothing is edited."""
    scaled = (unedited - unedited.mean(axis=0)) / np.maximum(unedited.std(axis=0), 1e-6)
    _, strength, axes = np.linalg.svd(scaled, full_matrices=False)
    loadings = (axes[:COMPONENTS] * strength[:COMPONENTS, None]).T / np.sqrt(len(unedited))
    return {CONTROL: np.zeros(COMPONENTS, np.float32)} | dict(zip(genes, loadings.astype(np.float32), strict=True))


def pairs(names: pd.Series) -> dict[str, list[str]]:
    """The edited genes of every condition in two slots."""
    split = [[*name.split("+"), CONTROL][:2] for name in names]
    return {"edit_1": [first for first, _ in split], "edit_2": [second for _, second in split]}


if __name__ == "__main__":
    main()
