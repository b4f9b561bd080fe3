"""A process of its own that reads through HDF5 files: a path per line of standard input; ``ready``, ``.`` per step and ``done`` on standard output.

Run by its path, and so without importing the package.
"""

from __future__ import annotations

import json
import sys

import h5py

_BLOCK = 10_000
_SMALL = 1 << 20


def _say(word: str) -> None:
    sys.stdout.write(f"{word}\n")
    sys.stdout.flush()


def _look(name: str, thing: h5py.Group | h5py.Dataset) -> None:
    """Read all attributes, all texts, small arrays and the beginning of large ones."""
    for key in thing.attrs:
        thing.attrs[key]
    if isinstance(thing, h5py.Dataset) and thing.size:
        if not thing.ndim or thing.nbytes <= _SMALL:
            thing[()]
        elif thing.dtype.hasobject:
            for first in range(0, thing.shape[0], _BLOCK):
                thing[first : first + _BLOCK]
                _say(".")
        else:
            thing[:1]
    _say(".")


def _walk(path: str) -> None:
    with h5py.File(path) as file:
        _look("/", file)
        file.visititems(_look)


if __name__ == "__main__":
    _say("ready")
    for line in sys.stdin:
        try:
            _walk(json.loads(line))
        except Exception:  # noqa: BLE001 - who reads the file in earnest says what is wrong with it
            pass
        _say("done")
