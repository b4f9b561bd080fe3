"""A file of predictions that grows block by block, and outlives an interruption."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from types import TracebackType
from typing import Any

import anndata as ad
import h5py
import numpy as np
import pandas as pd

from semimech._errors import ConfigError
from semimech._h5ad import any_strings

_LAYERS = ("X", "layers/lower", "layers/upper")
_ROWS = 256


class GrowingFile:
    """An AnnData file, ``.h5ad`` or ``.zarr``, whose rows are filled block by block.

    All room for numbers is taken when the file is made, so that a later write changes no structure of the file: one that
    is killed while it writes loses the block at hand only. What ``obs`` says of a block is kept beside it until the end.

    Parameters
    ----------
    path
        Where the file stands once it is complete.
    shape
        Rows and genes.
    n_blocks
        Number of blocks.
    question
        What the rows answer; a file begun for another question is thrown away.

    Raises
    ------
    ConfigError
        If the place cannot be written to.
    """

    def __init__(self, path: Path, shape: tuple[int, int], *, n_blocks: int, question: str) -> None:
        self._path = path
        self._folder = path.with_name(f".{path.name}.partial")
        self._file = self._folder / f"rows{path.suffix}"
        self._shape = shape
        self._n_blocks = n_blocks
        self._question = question
        self._root: Any = None
        self._is_described = False

    def __enter__(self) -> GrowingFile:
        note = self._folder / "question"
        try:
            if not note.is_file() or note.read_text(encoding="utf-8") != self._question:
                shutil.rmtree(self._folder, ignore_errors=True)
                self._folder.mkdir(parents=True)
                self._root = self._open("w")
                self._make()
                note.write_text(self._question, encoding="utf-8")
            else:
                self._root = self._open("a")
        except OSError as error:
            raise ConfigError(
                f"{self._path}: cannot be written ({error.strerror or error}); name another place"
            ) from None
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(self._root, h5py.Group):
            self._root.file.close()
        if kind is None and self._is_described:
            if self._path.is_dir():
                shutil.rmtree(self._path)
            os.replace(self._file, self._path)
            shutil.rmtree(self._folder)

    def has(self, number: int) -> bool:
        """Whether a block is there."""
        return self._note(number).is_file()

    def write(self, number: int, start: int, found: ad.AnnData) -> None:
        """Fill the rows of a block from ``start`` on."""
        rows = slice(start, start + found.n_obs)
        for name in _LAYERS:
            self._root[name][rows] = found.X if name == "X" else found.layers[name.split("/")[1]]
        if isinstance(self._root, h5py.Group):
            self._root.file.flush()
        temporary = self._note(number).with_suffix(".new")
        found.obs.to_csv(temporary, sep="\t", index=False)
        os.replace(temporary, self._note(number))

    def describe(self, var: pd.DataFrame) -> None:
        """Write what is known of rows and genes; the file is complete then."""
        notes = [pd.read_csv(self._note(b), sep="\t", dtype=str, keep_default_na=False) for b in range(self._n_blocks)]
        obs = pd.concat(notes, ignore_index=True).astype({"hours": float})
        with any_strings():
            ad.io.write_elem(self._root, "obs", obs.set_index(obs.index.astype(str)))
            ad.io.write_elem(self._root, "var", var)
            ad.io.write_elem(self._root, "uns", {"question": self._question})
        self._is_described = True

    def _note(self, number: int) -> Path:
        return self._folder / f"block-{number:06d}.tsv"

    def _open(self, mode: str) -> Any:
        if self._path.suffix == ".h5ad":
            return h5py.File(self._file, mode)["/"]
        import zarr

        return zarr.open_group(self._file, mode=mode)  # type: ignore[arg-type]

    def _make(self) -> None:
        self._root.attrs.update({"encoding-type": "anndata", "encoding-version": "0.1.0"})
        with any_strings():
            for name in ("layers", "obsm", "varm", "obsp", "varp"):
                ad.io.write_elem(self._root, name, {})
        for name in _LAYERS:
            if isinstance(self._root, h5py.Group):
                made = self._root.create_dataset(name, self._shape, np.float32)
                made[-1, -1] = np.nan  # an array without chunks takes all its room at the first write
            else:
                chunks = (min(_ROWS, self._shape[0]), self._shape[1])
                made = self._root.create_array(
                    name, shape=self._shape, chunks=chunks, dtype="float32", fill_value=np.nan
                )
            made.attrs.update({"encoding-type": "array", "encoding-version": "0.2.0"})
        if isinstance(self._root, h5py.Group):
            self._root.file.flush()
