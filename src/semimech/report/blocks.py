"""The pieces that a section is made of: paragraphs, tables, pictures, and what folds away."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, TypeAlias

from matplotlib.figure import Figure

from semimech.report.plots import data_uri


@dataclass(frozen=True, kw_only=True)
class Paragraph:
    """A few sentences."""

    kind: ClassVar[str] = "paragraph"
    text: str


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """A result in words, with its badge: ``won``, ``lost``, ``tie`` or ``open``; of a pilot ``go``, ``later`` or ``stop``."""

    kind: ClassVar[str] = "verdict"
    result: str
    text: str


@dataclass(frozen=True, kw_only=True)
class Points:
    """A list of sentences, each with an optional lead in bold."""

    kind: ClassVar[str] = "points"
    items: tuple[tuple[str, str], ...]


@dataclass(frozen=True, kw_only=True)
class Table:
    """Rows of text under a head; the first column names the row."""

    kind: ClassVar[str] = "table"
    caption: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    emphasised: frozenset[tuple[int, int]] = frozenset()
    is_numeric: bool = True


@dataclass(frozen=True)
class Picture:
    """A figure with the text that stands for it."""

    figure: Figure
    alt: str

    @property
    def source(self) -> str:
        """The figure drawn, as an address that holds its own data."""
        return data_uri(self.figure)


@dataclass(frozen=True, kw_only=True)
class Gallery:
    """Pictures that flow into as many columns as fit, under one caption that says what to see."""

    kind: ClassVar[str] = "gallery"
    pictures: tuple[Picture, ...]
    caption: str


@dataclass(frozen=True, kw_only=True)
class Code:
    """Text shown as it is."""

    kind: ClassVar[str] = "code"
    text: str


@dataclass(frozen=True, kw_only=True)
class Reference:
    """A work that is cited."""

    text: str
    address: str


@dataclass(frozen=True, kw_only=True)
class References:
    """Works that are cited, in order."""

    kind: ClassVar[str] = "references"
    items: tuple[Reference, ...]


@dataclass(frozen=True, kw_only=True)
class Heading:
    """A heading inside a section."""

    kind: ClassVar[str] = "heading"
    text: str


@dataclass(frozen=True, kw_only=True)
class Fold:
    """Blocks that the reader opens."""

    kind: ClassVar[str] = "fold"
    title: str
    blocks: tuple[Block, ...]


Block: TypeAlias = Paragraph | Verdict | Points | Table | Gallery | Code | References | Heading | Fold


@dataclass(frozen=True, kw_only=True)
class Section:
    """A part of the report with its own entry in the contents."""

    id: str
    title: str
    blocks: tuple[Block, ...]


def empty(reason: str) -> tuple[Block, ...]:
    """What stands in a section without data."""
    return (Paragraph(text=reason),)
