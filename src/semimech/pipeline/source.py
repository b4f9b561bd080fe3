"""Source: what a run starts from, and the note of it that later steps read."""

from __future__ import annotations

import csv
import hashlib
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
import tomli_w

from semimech._errors import ConfigError
from semimech._files import replacing
from semimech.data import Dataset, check, read
from semimech.model import PriorNetwork


@dataclass(frozen=True, kw_only=True)
class Source:
    """What a run starts from: a data file, how to read it, and what is known of the wiring.

    Parameters
    ----------
    path
        The data file.
    keys
        Arguments of `semimech.read` that differ from its defaults.
    prior
        Table of edges with columns ``source``, ``target`` and, if known, ``sign``.
    prior_use
        ``"soft"`` or ``"mask"``, see `semimech.PriorNetwork`.
    """

    path: Path
    keys: dict[str, Any] = field(default_factory=dict)
    prior: Path | None = None
    prior_use: str = "soft"

    def dataset(self) -> Dataset:
        """Read the data set."""
        return read(self.path, **self.keys)

    def findings(self) -> pd.DataFrame:
        """Check the data set."""
        return check(self.path, **self.keys)

    def network(self) -> PriorNetwork | None:
        """Read the table of edges, if there is one.

        Raises
        ------
        ConfigError
            If the file cannot be read.
        DataError
            If it is no table of edges, or its use is unknown.
        """
        if self.prior is None:
            return None
        try:
            edges = pd.read_csv(self.prior, sep=None, engine="python")
        except (OSError, ValueError, csv.Error) as error:
            raise ConfigError(f"{self.prior}: cannot be read as a table of edges ({error})") from None
        return PriorNetwork(edges=edges, use=self.prior_use)  # type: ignore[arg-type]

    def note(self) -> dict[str, Any]:
        """What ``run.toml`` says of the source; its paths are absolute."""
        keys = {name: str(value.resolve()) if isinstance(value, Path) else value for name, value in self.keys.items()}
        noted: dict[str, Any] = {"data": str(self.path.resolve()), "keys": keys}
        if self.prior is not None:
            digest = hashlib.sha256(self.prior.read_bytes()).hexdigest()
            noted["prior"] = {"path": str(self.prior.resolve()), "use": self.prior_use, "sha256": digest}
        return noted


def write_source(source: Source, out: Path) -> None:
    """Note in ``out/run.toml`` what the model in ``out`` was fitted to.

    Raises
    ------
    ConfigError
        If the file cannot be written.
    """
    with replacing(out / "run.toml") as temporary:
        temporary.write_text(tomli_w.dumps(source.note()), encoding="utf-8")


def read_source(out: Path) -> Source:
    """What `write_source` noted.

    Raises
    ------
    ConfigError
        If nothing was noted, or the note is damaged.
    """
    noted = read_note(out)
    if not {"data", "keys"} <= set(noted):
        raise ConfigError(f"{out}: no run.toml that can be read; name a folder that 'semimech run' or 'fit' wrote")
    prior = noted.get("prior")
    wiring = {} if prior is None else {"prior": Path(prior["path"]), "prior_use": prior["use"]}
    return Source(path=Path(noted["data"]), keys=noted["keys"], **wiring)


def read_note(out: Path) -> dict[str, Any]:
    """``out/run.toml`` as it stands, empty if there is none or it is damaged."""
    try:
        return tomllib.loads((out / "run.toml").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
