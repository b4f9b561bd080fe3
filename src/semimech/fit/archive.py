"""Arrays of a tree on disk: plain npz, written whole or not at all, nothing unpickled."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np

from semimech._errors import ConfigError
from semimech._files import replacing

Tree = TypeVar("Tree")


def write_leaves(path: Path, tree: object) -> None:
    """Write the arrays of a tree, named by their place in it."""
    with replacing(path) as temporary:
        arrays: dict[str, Any] = {name: np.asarray(leaf) for name, leaf in _named_leaves(tree)}
        np.savez(temporary, **arrays)


def read_leaves(path: Path, like: Tree) -> Tree:
    """Read arrays into a tree of the same structure, shapes and kinds of arrays (JAX or NumPy).

    Raises
    ------
    ConfigError
        If the file is damaged, foreign, or made for another structure.
    """
    named = _named_leaves(like)
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            stored = {name: archive[name] for name in archive.files}
    except Exception as error:  # noqa: BLE001 - numpy raises many kinds on damaged files
        raise ConfigError(f"{path}: not an archive of arrays, or damaged ({error}); fit again") from None
    wrong = [name for name, leaf in named if name not in stored or stored[name].shape != np.shape(leaf)]
    if wrong or len(stored) != len(named):
        wrong = wrong or sorted(set(stored) - {name for name, _ in named})
        raise ConfigError(f"{path}: made for other data or settings; arrays that do not fit: {', '.join(wrong[:5])}")
    leaves = [
        stored[name].astype(leaf.dtype) if isinstance(leaf, np.ndarray) else jnp.asarray(stored[name], leaf.dtype)
        for name, leaf in named
    ]
    return jax.tree.unflatten(jax.tree.structure(like), leaves)


def _named_leaves(tree: object) -> list[tuple[str, Any]]:
    leaves, _ = jax.tree_util.tree_flatten_with_path(tree)
    return [(jax.tree_util.keystr(path).strip("."), leaf) for path, leaf in leaves]
