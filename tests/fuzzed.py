"""Files of measurements as nobody should write them: strange structures, and damage to bytes."""

from __future__ import annotations

import warnings
from pathlib import Path

import anndata as ad
import hypothesis.strategies as st
import numpy as np
import pandas as pd
import scipy.sparse as sp
from small_screens import screen

from semimech import SemimechError
from semimech._h5ad import any_strings
from semimech.data import check, read

_NAMES = ("perturbation", "guide", "day", "hours", "batch", "medium", "dose_value", "t", "cell_type", "gene", "")
_LABELS = (
    "control",
    "NT",
    "A",
    "B",
    "A+B",
    "A+ctrl",
    "+",
    "",
    "nan",
    " A ",
    "day3",
    "3 h",
    "-1",
    "∞",
    "ENSG00000000001",
)
_GENES = ("A", "B", "C", "MT-ND1", "ENSG00000000001.2", "1-Mar", "", "a", "É", "A+B")
_VALUES = (0.0, 1.0, 2.0, 7.0, 0.5, -1.0, np.nan, np.inf, 1e30, 693147.0)
MUTATIONS = ("none", "truncated", "flipped", "zeroed")


@st.composite
def nearly_sound(draw: st.DrawFn) -> ad.AnnData:
    """A screen that can be read, but for some changes."""
    data = screen(n=draw(st.integers(2, 4)), seed=draw(st.integers(0, 99)))
    rng = np.random.default_rng(draw(st.integers(0, 2**31)))
    for change in draw(
        st.lists(st.sampled_from(["column", "drop", "value", "gene", "layer", "dense", "cells"]), max_size=3)
    ):
        if change == "column":
            data.obs[draw(st.sampled_from(_NAMES))] = _column(draw, rng, data.n_obs)
        elif change == "drop" and len(data.obs.columns):
            data.obs = data.obs.drop(columns=[draw(st.sampled_from(list(data.obs.columns)))])
        elif change == "value":
            x = np.asarray(data.X.todense()) if sp.issparse(data.X) else data.X.copy()
            x[rng.integers(data.n_obs), rng.integers(data.n_vars)] = rng.choice(_VALUES)
            data.X = x
        elif change == "gene":
            data.var_names = [*data.var_names[:-1], draw(st.sampled_from(_GENES))]
        elif change == "layer":
            data.layers["counts"] = rng.choice(np.array(_VALUES[:5]), data.shape)
        elif change == "dense":
            data.X = np.log1p(data.X.toarray()) if sp.issparse(data.X) else data.X
        elif change == "cells":
            data = data[np.sort(rng.permutation(data.n_obs)[: data.n_obs // 2])].copy()
    return data


@st.composite
def strange(draw: st.DrawFn) -> ad.AnnData:
    """An AnnData object of a few cells and genes; most are faulty, each in its own way."""
    n, g = draw(st.integers(0, 14)), draw(st.integers(0, 6))
    rng = np.random.default_rng(draw(st.integers(0, 2**31)))
    usual = draw(st.booleans())
    pool = np.array(_VALUES[:4] if usual else _VALUES)
    x = rng.choice(pool, size=(n, g))
    kind = draw(st.sampled_from(["dense", "csr", "csc", "int", "none", "bool"]))
    if kind == "int":
        x = np.nan_to_num(x, posinf=9).clip(-9, 9).astype(draw(st.sampled_from(["int8", "int64", "uint16"])))
    elif kind == "bool":
        x = x > 0
    x = None if kind == "none" else getattr(sp, f"{kind}_matrix")(x) if kind in ("csr", "csc") else x
    names = draw(st.lists(st.sampled_from(_NAMES), max_size=5, unique=True))
    obs = pd.DataFrame({name: _column(draw, rng, n) for name in names}, index=[f"c{i}" for i in range(n)])
    var = pd.DataFrame(index=list(_GENES[:g]) if usual else list(rng.choice(_GENES, g)))
    if draw(st.booleans()):
        var["gene_symbols"] = rng.choice(_GENES, g)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        data = ad.AnnData(x, obs=obs, var=var, shape=(n, g) if x is None else None)
    if draw(st.booleans()):
        data.layers[draw(st.sampled_from(["counts", "raw_counts", "scaled"]))] = rng.choice(pool, size=(n, g))
    if draw(st.booleans()):
        data.uns["semimech"] = draw(st.sampled_from([{}, {"truth": {}}, "text", 3, [1, 2]]))
    return data


def structures() -> st.SearchStrategy[ad.AnnData]:
    """Objects of either kind."""
    return nearly_sound() | strange()


def _column(draw: st.DrawFn, rng: np.random.Generator, n: int) -> object:
    kind = draw(st.sampled_from(["labels", "category", "float", "int", "bool", "lost"]))
    labels = rng.choice(draw(st.sampled_from([_LABELS[:4], _LABELS])), n).astype(object)
    if kind == "category":
        return pd.Categorical(labels, categories=sorted({*labels, "unused"}))
    if kind == "float":
        return rng.choice([0.0, 1.0, 2.5, -1.0, np.nan, np.inf], n)
    if kind == "int":
        return rng.integers(-1, 4, n)
    if kind == "bool":
        return rng.random(n) < 0.5
    if kind == "lost" and n:
        labels[rng.random(n) < 0.3] = None
    return labels


def written(data: ad.AnnData, path: Path) -> bool:
    """Write a file, unless anndata refuses to."""
    with warnings.catch_warnings(), any_strings():
        warnings.simplefilter("ignore")
        try:
            data.write_h5ad(path)
        except Exception:  # noqa: BLE001 - what anndata will not write cannot come to us
            return False
    return True


def damage(content: bytes, mutation: str, place: float, seed: int) -> bytes:
    """Bytes cut off, or some of them changed."""
    rng = np.random.default_rng(seed)
    changed = bytearray(content)
    if mutation == "truncated":
        return content[: int(place * len(content))]
    if mutation == "flipped":
        for at in rng.integers(0, len(changed), 1 + seed % 40):
            changed[at] ^= 1 << int(rng.integers(8))
    if mutation == "zeroed":
        at = int(place * len(changed))
        changed[at : at + 64] = bytes(len(changed[at : at + 64]))
    return bytes(changed)


def outcome(path: Path) -> str:
    """What reading and checking a file come to: ``read``, ``refused``, or what went wrong."""
    before = sorted(path.parent.iterdir()), path.read_bytes()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            table = check(path)
            read(path)
            found = "read"
        except SemimechError as error:
            found = "refused" if str(error).strip() else "refused without a word"
            if "table" in locals() and not (table["severity"] == "fail").any():
                found = f"refused what passed the check: {str(error).splitlines()[0][:120]}"
        except Exception as error:  # noqa: BLE001 - what must not happen is counted
            found = f"crashed: {type(error).__name__}: {str(error)[:160]}"
    after = sorted(path.parent.iterdir()), path.read_bytes()
    return found if before == after else f"wrote to the folder, {found}"
