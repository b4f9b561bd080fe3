from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest

from semimech.assumptions import ASSUMPTIONS, FAMILIES, catalogue, relying
from semimech.assumptions.page import catalogue_page

DOCS = Path(__file__).parents[2] / "docs"


def test_the_page_of_the_documentation_is_the_catalogue():
    assert (DOCS / "assumptions.md").read_text(encoding="utf-8") == catalogue_page() + "\n", (
        "write it anew: python -m semimech.assumptions.page > docs/assumptions.md"
    )


def test_every_assumption_that_is_defined_stands_in_the_catalogue_once():
    defined = [value for value in vars(catalogue).values() if isinstance(value, catalogue.Assumption)]
    assert len(ASSUMPTIONS) == len(set(ASSUMPTIONS)) == len(defined) >= 15
    assert set(ASSUMPTIONS) == set(defined)


@pytest.mark.parametrize("assumption", ASSUMPTIONS, ids=lambda a: a.id)
def test_an_assumption_says_all_there_is_to_say(assumption):
    assert all(getattr(assumption, field.name).strip() for field in fields(assumption))


def test_ids_of_assumptions_and_families_are_unique():
    assert len({a.id for a in ASSUMPTIONS}) == len(ASSUMPTIONS)
    assert len({f.id for f in FAMILIES}) == len(FAMILIES)


def test_a_family_relies_on_what_it_lists_and_on_nothing_twice():
    for family in FAMILIES:
        assert len(set(family.assumptions)) == len(family.assumptions)
        assert {a for a in ASSUMPTIONS if family in relying(a)} == set(family.assumptions)


def test_published_families_name_where_their_papers_are_found():
    published = [family for family in FAMILIES if family.papers]
    assert len(published) >= 8
    assert all(paper.address.startswith("https://") for family in published for paper in family.papers)
