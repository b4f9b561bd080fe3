"""Ways to call a command: in this process, or in one of its own."""

from __future__ import annotations

import contextlib
import io
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from semimech import cli

SETTINGS = """
steady_state = "none"
sparsities = [0.1]
n_folds = 2
n_members = 2
n_steps = 20
validation_steps = 10
checkpoint_every = 10
"""
"""Settings of a fit that takes seconds."""


@dataclass(frozen=True)
class Done:
    """What a command did."""

    code: int
    out: str
    err: str


def call(*arguments: object) -> Done:
    """Run a command in this process."""
    out, err = io.StringIO(), io.StringIO()
    before = sys.argv
    sys.argv = ["semimech", *map(str, arguments)]
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), pytest.raises(SystemExit) as stopped:
            cli.main()
    finally:
        sys.argv = before
    code = stopped.value.code
    return Done(code=code if isinstance(code, int) else int(code is not None), out=out.getvalue(), err=err.getvalue())


def start(*arguments: object, folder: Path | None = None) -> subprocess.Popen[str]:
    """Start a command in a process of its own."""
    code = "import sys; from semimech.cli import main; sys.argv[0] = 'semimech'; main()"
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def call_apart(*arguments: object, folder: Path | None = None) -> Done:
    """Run a command in a process of its own."""
    process = start(*arguments, folder=folder)
    out, err = process.communicate(timeout=300)
    return Done(code=process.returncode, out=out, err=err)
