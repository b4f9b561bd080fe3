"""A process of its own that reads through HDF5 files: a path per line of standard input; ``ready``, ``.`` per step and ``done`` on standard output.

Run by its path, and so without importing the package.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any

import h5py

_BLOCK = 10_000
_SMALL = 1 << 20
_DEEPEST = 12


def _say(word: str) -> None:
    sys.stdout.write(f"{word}\n")
    sys.stdout.flush()


def _tried(what: Callable[..., Any], *arguments: Any) -> Any:
    """Go on past what cannot be read: who reads the file in earnest says what is wrong with it."""
    try:
        return what(*arguments)
    except Exception:  # noqa: BLE001
        return None


def _look(thing: Any) -> None:
    """Read all attributes, all texts, small arrays and the beginning of large ones."""
    for key in _tried(list, thing.attrs) or ():
        _tried(thing.attrs.__getitem__, key)
    if isinstance(thing, h5py.Dataset) and thing.size:
        if not thing.ndim or thing.nbytes <= _SMALL:
            _tried(thing.__getitem__, ())
        elif thing.dtype.hasobject:
            for first in range(0, thing.shape[0], _BLOCK):
                _tried(thing.__getitem__, slice(first, first + _BLOCK))
                _say(".")
        else:
            _tried(thing.__getitem__, slice(1))
    _say(".")


def _walk(thing: Any, depth: int) -> None:
    _tried(_look, thing)
    for name in (_tried(list, thing) or ()) if isinstance(thing, h5py.Group) and depth < _DEEPEST else ():
        part = _tried(thing.__getitem__, name)
        if part is not None:
            _walk(part, depth + 1)


def _open(path: str) -> None:
    with h5py.File(path) as file:
        _walk(file, 0)


if __name__ == "__main__":
    _say("ready")
    for line in sys.stdin:
        _tried(_open, json.loads(line))
        _say("done")
