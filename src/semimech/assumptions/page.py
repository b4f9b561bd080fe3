"""The catalogue as a page of the documentation."""

from __future__ import annotations

from semimech.assumptions.catalogue import ASSUMPTIONS, Assumption
from semimech.assumptions.families import FAMILIES, Family, relying

_HEAD = """# What models take for granted

<!-- Written by `python -m semimech.assumptions.page > docs/assumptions.md`; a test holds it to the catalogue. -->

Every prediction of cells rests on statements that were not measured. Here is each of them, who makes it, what goes wrong where it is wrong,
and which arm of an experiment would tell. [audit.md](audit.md) tests them on a data set: `semimech audit screen.h5ad`.

In the equations F(c, t) x is the state after time t in context c of cells that start in x; p is an edit, m a medium, m₀ the maintenance medium, ∅ no
edit, b a batch, ℓ the depth of a cell, f the drift.

The papers are the families' own; which statements their methods need is our reading of them as they are commonly used, on one
screen, predicting means. A member that is given time, medium or order as an input escapes the statement about it.
"""


def catalogue_page() -> str:
    """Markdown of the whole catalogue: the matrix of families, each assumption, each family with its papers."""
    return "\n".join([_HEAD, _matrix(), *map(_assumption, ASSUMPTIONS), "## Families\n", *map(_family, FAMILIES)])


def _matrix() -> str:
    lines = ["## Who makes which", "", "| assumption | families |", "|---|---|"]
    for assumption in ASSUMPTIONS:
        names = ", ".join(f"`{family.id}`" for family in relying(assumption)) or "single baselines"
        lines.append(f"| {assumption.id} | {names} |")
    return "\n".join([*lines, ""])


def _assumption(assumption: Assumption) -> str:
    heading = assumption.id[0].upper() + assumption.id[1:]
    return "\n".join(
        [
            f"## {heading}",
            "",
            f"{assumption.statement}",
            "",
            f"    {assumption.equation}",
            "",
            f"* **Comes in by**: {assumption.source}.",
            f"* **If it fails**: {assumption.breaks}.",
            f"* **Evidence against it**: {assumption.test}.",
            f"* **Arm that tells**: {assumption.arm}.",
            "",
        ]
    )


def _family(family: Family) -> str:
    papers = "; ".join(f"[{paper.cite}]({paper.address})" for paper in family.papers) or "of this package"
    takes = ", ".join(assumption.id for assumption in family.assumptions)
    return (
        f"* `{family.id}`, {family.name}: {family.form}. Takes for granted: {takes}. {papers[0].upper()}{papers[1:]}."
    )


if __name__ == "__main__":
    print(catalogue_page())
