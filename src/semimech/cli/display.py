"""What long commands show on standard error while they work."""

from __future__ import annotations

from concurrent.futures import Executor
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

if TYPE_CHECKING:
    from semimech.data import Dataset
    from semimech.pipeline import Source


class Display:
    """Progress of fits, one bar per set of runs, and lines of text; plain lines where there is no terminal."""

    def __init__(self) -> None:
        self._console = Console(stderr=True, highlight=False)
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=self._console,
            transient=True,
        )
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> Display:
        if self._console.is_terminal:
            self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._console.is_terminal:
            self._progress.stop()

    def say(self, text: str) -> None:
        """Print a line above the bars."""
        self._console.print(text, markup=False)

    def within(self, text: str) -> None:
        """Name the fit whose bars follow; baselines fit too fast to be worth a line."""
        model = text.rsplit(": ", 1)[-1]
        if model in ("semi-mechanistic", "Neural ODE"):
            self.say(text)
        self._clear()

    def next_fit(self, text: str) -> None:
        """Print a line on the fit whose bars follow."""
        self.say(text)
        self._clear()

    def _clear(self) -> None:
        for task in self._tasks.values():
            self._progress.remove_task(task)
        self._tasks.clear()

    def fit(self, label: str, done: int, total: int) -> None:
        """Move the bar of a set of runs."""
        self._move(label, done, total, unit="steps")

    def reading(self, done: int, total: int) -> None:
        """Move the bar of cells read."""
        self._move("reading", done, total, unit="cells")

    def read(self, source: Source, out: Path | None = None, *, executor: Executor | None = None) -> Dataset:
        """Read a data set, with a bar and a word on what is missing if it is streamed.

        What was streamed is kept in the folder ``out`` until all is read; ``executor`` streams parts of it.
        """
        checkpoint = None if out is None else out / "checkpoint" / "reading.npz"
        dataset = source.dataset(self.reading, executor=executor, checkpoint=checkpoint)
        if "reading" in self._tasks:
            self._progress.remove_task(self._tasks.pop("reading"))
        self.notes(dataset)
        if dataset.cells is None:
            self.say(
                f"{dataset.name} is larger than memory should hold and was streamed: no single cells are kept, so that scores of populations, "
                'baselines of optimal transport and likelihood = "counts" are left out'
            )
        return dataset

    def notes(self, dataset: Dataset) -> None:
        """Print what is to be known of a data set."""
        for note in dataset.notes:
            self.say(note)

    def cells(self, done: int, total: int) -> None:
        """Move the bar of cells written."""
        self._move("writing", done, total, unit="cells")

    def experiments(self, done: int, total: int) -> None:
        """Move the bar of experiments predicted."""
        self._move("predicting", done, total, unit="experiments")

    def _move(self, label: str, done: int, total: int, *, unit: str) -> None:
        if not self._console.is_terminal:
            if done >= total:
                self.say(f"  {label}: {total} {unit}")
            return
        if label not in self._tasks:
            self._tasks[label] = self._progress.add_task(label, total=total)
        self._progress.update(self._tasks[label], completed=done)
