"""Mixscape's verdict on each cell of Papalexi's screen, for ``benchmarks.escapers --mixscape``; needs pertpy (``semimech[guides]``) and no semimech.

``python benchmarks/peers/mixscape.py papalexi_lowmoi.h5ad mixscape.csv``; steps and settings of pertpy's tutorial.
"""

from __future__ import annotations

import argparse
import warnings

import anndata as ad
import numpy as np
import pertpy as pt
import scanpy as sc


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("screen")
    parser.add_argument("out")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    data = ad.read_h5ad(options.screen)
    best = np.asarray(data.obsm["grna_counts"].argmax(axis=1)).ravel()
    target = np.asarray(data.uns["grna_target"]).astype(str)[best]
    data.obs["target"] = np.where(target == "non-targeting", "NT", target)
    data.obs["replicate"] = data.obs["bio_rep"].astype(str).to_numpy()
    sc.pp.normalize_total(data, target_sum=1e4)
    sc.pp.log1p(data)
    sc.pp.pca(data)
    mixscape = pt.tl.Mixscape()
    mixscape.perturbation_signature(
        data, pert_key="target", control="NT", split_by="replicate", n_neighbors=20, n_dims=40
    )
    mixscape.mixscape(data, pert_key="target", control="NT", layer="X_pert", iter_num=10)
    data.obs[["target", "mixscape_class_global"]].to_csv(options.out)


if __name__ == "__main__":
    main()
