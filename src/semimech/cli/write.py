"""What commands write beside standard output: tables, pictures and summaries, whole or not at all."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from semimech._files import replacing

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure


def write_table(table: pd.DataFrame, path: Path) -> None:
    """Write a table, tab-separated."""
    with replacing(path) as temporary:
        table.to_csv(temporary, sep="\t", index=False)


def write_png(figure: Figure, path: Path) -> None:
    """Write a picture."""
    with replacing(path) as temporary:
        figure.savefig(temporary, format="png", dpi=200)


def write_toml(values: dict[str, object], path: Path) -> None:
    """Write values under their names."""
    import tomli_w

    with replacing(path) as temporary:
        temporary.write_text(tomli_w.dumps(values), encoding="utf-8")
