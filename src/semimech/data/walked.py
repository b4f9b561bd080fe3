"""Walks through HDF5 files ahead of reading them, by another process, as damage can make their library run on for ever, or die."""

from __future__ import annotations

import atexit
import json
import os
import subprocess
import sys
from contextlib import suppress
from functools import cache, lru_cache
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Lock, Thread

from semimech._errors import DataError

PATIENCE = 30.0
"""Seconds without a step forward after which a walk counts as endless."""

_START = 60.0
_WALK = Path(__file__).with_name("_walk.py")


def refuse_endless(path: Path) -> None:
    """Walk through an HDF5 file.

    Raises
    ------
    DataError
        If the library of HDF5 does not come to an end with it, or dies of it.
    """
    if not path.is_file():
        return
    stat = path.stat()
    if fault := _fault(path, stat.st_size, stat.st_mtime_ns):
        mend = "Write it again with adata.write_h5ad(path), or fetch it again if it was downloaded"
        raise DataError(f"{path}: damaged, so that {fault}. {mend}")


@lru_cache(maxsize=64)
def _fault(path: Path, size: int, changed: int) -> str:
    """What is wrong with a file of this size that was last changed then; nothing where it comes to an end."""
    return _walker(os.getpid()).fault(path)


class _Walker:
    """The other process."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None
        self._said: SimpleQueue[str] = SimpleQueue()
        self._is_of_use = True
        self._turn = Lock()

    def fault(self, path: Path) -> str:
        """Walk through a file; nothing is known of it where no other process can be had."""
        with self._turn:
            if self._process is None and self._is_of_use:
                self._is_of_use = self._start()
            process = self._process
            if process is None or process.stdin is None:
                return ""
            try:
                process.stdin.write(json.dumps(os.fspath(path.absolute())) + "\n")
                process.stdin.flush()
                while (said := self._said.get(timeout=PATIENCE)) == ".":
                    pass
            except Empty:
                self.close()
                return f"reading it does not end (no step in {PATIENCE:g} s)"
            except OSError:
                said = ""
            if said == "done":
                return ""
            self.close()
            return "the library of HDF5 dies of it"

    def _start(self) -> bool:
        """Start the process, and say whether it runs."""
        pipe, command = subprocess.PIPE, [sys.executable, "-P", str(_WALK)]
        try:
            self._process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, text=True)
        except OSError:
            return False
        self._said = SimpleQueue()
        Thread(target=self._listen, args=(self._process, self._said), daemon=True).start()
        try:
            is_ready = self._said.get(timeout=_START) == "ready"
        except Empty:
            is_ready = False
        if not is_ready:
            self.close()
        return is_ready

    @staticmethod
    def _listen(process: subprocess.Popen[str], said: SimpleQueue[str]) -> None:
        if process.stdout is not None:
            with process.stdout:
                for line in process.stdout:
                    said.put(line.strip())
        said.put("")

    def close(self) -> None:
        """End the process."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            if self._process.stdin is not None:
                with suppress(OSError):
                    self._process.stdin.close()
            self._process = None


@cache
def _walker(process_id: int) -> _Walker:
    """The walker of this process: one that was forked has its own."""
    walker = _Walker()
    atexit.register(walker.close)
    return walker
