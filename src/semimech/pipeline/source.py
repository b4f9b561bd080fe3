"""Source: what a run starts from, and the note of it that later steps read."""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import tomli_w

from semimech._errors import ConfigError, DataError, raise_faults
from semimech._files import replacing
from semimech.abundance import GuideCounts, edited_cells, read_guide_counts
from semimech.data import Dataset, Examination, Keys, Split, examine, read
from semimech.model import Kinship, PriorNetwork, merge_regulons, read_complexes, read_embedding, read_regulon

ARE_WEIGHED = (
    "measured values of an edit are means of cells weighed by all of its harvests; scores of `run` are against these, of models trained on cells that were weighed without what "
    "is held out."
)


@dataclass(frozen=True, kw_only=True)
class Source:
    """What a run starts from: a data file, how to read it, and what is known of the wiring and of which genes act alike.

    Parameters
    ----------
    path
        The data file.
    keys
        Arguments of `semimech.read` that differ from its defaults.
    prior
        Tables of known regulation, each as its source publishes it, see `semimech.model.read_regulon`.
    prior_use
        ``"soft"`` or ``"mask"``, see `semimech.PriorNetwork`.
    complexes
        Tables of complexes or pathways, see `semimech.model.read_complexes`.
    embeddings
        Tables of vectors of genes, see `semimech.model.read_embedding`.
    guides, samples
        Counts of the guides of the same edits and their sample sheet, see `semimech.abundance.read_guide_counts`: cells that are not edited are told by them.
    editing
        Share of the cells with a guide that it edits, see `semimech.abundance.edited_cells`.
    """

    path: Path
    keys: dict[str, Any] = field(default_factory=dict)
    prior: tuple[Path, ...] = ()
    prior_use: str = "soft"
    complexes: tuple[Path, ...] = ()
    embeddings: tuple[Path, ...] = ()
    guides: Path | None = None
    samples: Path | None = None
    editing: float = 0.8

    def __post_init__(self) -> None:
        if (self.guides is None) != (self.samples is None):
            raise ConfigError("--guides and --samples go together: counts of guides, and what was counted")

    def dataset(
        self,
        progress: Callable[[int, int], None] | None = None,
        *,
        executor: Executor | None = None,
        checkpoint: Path | None = None,
    ) -> Dataset:
        """Read the data set; if it is so large that it is streamed, as `semimech.read` says of these arguments.

        With counts of guides, conditions are those of cells that are edited; see `training`.
        """
        counts = self.guide_counts()
        data = read(self.path, **self.keys, progress=progress, executor=executor, checkpoint=checkpoint)
        if counts is None:
            return data
        edited = edited_cells(data, counts, editing=self.editing).data
        return replace(edited, notes=(*edited.notes, ARE_WEIGHED))

    def training(self, dataset: Dataset) -> Callable[[Split], Dataset] | None:
        """What to train on in a split of `dataset`, with counts of guides: cells are weighed without those that it holds out; else nothing, for the rows of the split.

        Reads the data file again.
        """
        counts = self.guide_counts()
        if counts is None:
            return None
        data = read(self.path, **self.keys)

        def trained_on(split: Split) -> Dataset:
            kept = {dataset.conditions[row] for row in split.train}
            rows = [row for row, condition in enumerate(data.conditions) if condition in kept]
            return edited_cells(data.subset(rows), counts, editing=self.editing).data

        return trained_on

    def guide_counts(self) -> GuideCounts | None:
        """Read the counts of guides, if there are any.

        Raises
        ------
        DataError
            If a table cannot be read.
        """
        if self.guides is None or self.samples is None:
            return None
        return read_guide_counts(self.guides, self.samples)

    def examination(self) -> Examination:
        """Check the data set, and measure its conditions."""
        return examine(self.path, Keys(**self.keys))

    def network(self) -> PriorNetwork | None:
        """Read the tables of edges, if there are any, and merge them.

        Raises
        ------
        ConfigError
            If a file cannot be read.
        DataError
            Listing every table that is none of edges; or if the use is unknown.
        """
        if not self.prior:
            return None
        tables, faults = {}, []
        for path in self.prior:
            try:
                tables[str(path)] = read_regulon(path)
            except DataError as error:
                faults.append(str(error))
        raise_faults(DataError, "prior network", faults)
        return PriorNetwork(edges=merge_regulons(tables), use=self.prior_use)  # type: ignore[arg-type]

    def kinship(self) -> Kinship | None:
        """Read the tables of genes that act alike, if there are any.

        Raises
        ------
        ConfigError
            If a file cannot be read.
        DataError
            Listing every table that is none of its kind.
        """
        if not self.complexes and not self.embeddings:
            return None
        found: dict[str, dict[str, Any]] = {"complexes": {}, "embeddings": {}}
        faults = []
        for kind, paths, read_one in (
            ("complexes", self.complexes, read_complexes),
            ("embeddings", self.embeddings, read_embedding),
        ):
            for path in paths:
                try:
                    found[kind][str(path)] = read_one(path)
                except DataError as error:
                    faults.append(str(error))
        raise_faults(DataError, "kinship", faults)
        return Kinship(**found)

    def notes(self) -> tuple[str, ...]:
        """What a user of several tables of edges should know of them."""
        network = self.network()
        if network is None or len(self.prior) < 2:
            return ()
        edges = network.edges
        contradicted = edges[edges["is_contradicted"]]
        examples = ", ".join(f"{row.source}-{row.target}" for row in contradicted.head(3).itertuples())
        return (
            f"prior: {len(edges):,} edges of {len(self.prior)} tables; of {len(contradicted):,} the tables state opposite signs, which are "
            f"taken as unknown{f' ({examples})' if examples else ''}.",
        )

    def note(self) -> dict[str, Any]:
        """What ``run.toml`` says of the source; its paths are absolute."""
        keys = {name: str(value.resolve()) if isinstance(value, Path) else value for name, value in self.keys.items()}
        noted: dict[str, Any] = {"data": str(self.path.resolve()), "keys": keys}
        if self.prior:
            noted["prior"] = {"use": self.prior_use, **_noted(self.prior)}
        for kind, paths in (("complexes", self.complexes), ("embeddings", self.embeddings)):
            if paths:
                noted[kind] = _noted(paths)
        if self.guides is not None and self.samples is not None:
            noted["guides"] = {"editing": self.editing, **_noted((self.guides, self.samples))}
        return noted


def _noted(paths: tuple[Path, ...]) -> dict[str, list[str]]:
    """Where tables lie, and what they were."""
    return {
        "paths": [str(path.resolve()) for path in paths],
        "sha256": [hashlib.sha256(path.read_bytes()).hexdigest() for path in paths],
    }


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
    wiring: dict[str, Any] = (
        {} if prior is None else {"prior": tuple(map(Path, prior["paths"])), "prior_use": prior["use"]}
    )
    wiring |= {k: tuple(map(Path, noted[k]["paths"])) for k in ("complexes", "embeddings") if k in noted}
    if counted := noted.get("guides"):
        wiring |= dict(zip(("guides", "samples"), map(Path, counted["paths"]), strict=True))
        wiring["editing"] = counted["editing"]
    return Source(path=Path(noted["data"]), keys=noted["keys"], **wiring)


def read_note(out: Path) -> dict[str, Any]:
    """``out/run.toml`` as it stands, empty if there is none or it is damaged."""
    try:
        return tomllib.loads((out / "run.toml").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
