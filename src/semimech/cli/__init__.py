"""The command line: exit code 0 done, 1 a check did not hold, 2 an error in words, never a traceback."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from semimech._errors import SemimechError
from semimech.cli.abundance import abundance
from semimech.cli.audit import audit
from semimech.cli.campaign import campaign
from semimech.cli.commands import app
from semimech.cli.design import app as design
from semimech.cli.explain import explain
from semimech.cli.next import next_
from semimech.cli.order import order
from semimech.cli.pilot import pilot
from semimech.cli.predict import predict
from semimech.cli.screen import screen
from semimech.cli.sensitivity import sensitivity
from semimech.cli.simulate import simulate
from semimech.cli.sweep import sweep

for command in (audit, abundance, campaign, simulate, predict, explain, order, pilot, screen, sensitivity, sweep):
    app.command()(command)
design.command("next")(next_)
app.add_typer(design, name="design")

INTERRUPTED = 130
"""Exit code after Ctrl-C: 128 and the number of the signal."""


def main() -> None:
    """Run a command."""
    cache = Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser() / "semimech" / "xla"
    os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(cache))
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "1")
    try:
        app(prog_name="semimech")
    except SemimechError as error:
        _fail(str(error), 2)
    except SystemExit as done:
        if done.code == INTERRUPTED:
            _fail(
                "interrupted; the same command with --resume goes on from the last checkpoint of a fit; a screen and a campaign go on without it",
                INTERRUPTED,
            )
        raise
    except Exception as error:
        if os.environ.get("SEMIMECH_TRACEBACK"):
            raise
        _fail(f"unexpected {type(error).__name__}: {error} (SEMIMECH_TRACEBACK=1 shows where; please report it)", 2)


def _fail(message: str, code: int) -> None:
    print(f"semimech: {message}", file=sys.stderr)
    sys.exit(code)
