"""Checks of a screen: each fault that is planted is named, and clean screens are left in peace."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from small_faults import FAULTS, KEYS, clean, plant
from small_plants import edits, rows

from semimech.data import check
from semimech.data.curation.cycle_genes import G2M_PHASE, S_PHASE, is_listed
from semimech.data.curation.mitochondrial_genes import is_mitochondrial


def named(data, fault=None):
    """Names of the checks that find something, with their severity."""
    table = check(data, **{**KEYS, **(dict(fault.keys) if fault else {})})
    found = table[table["severity"] != "ok"]
    return set(zip(found["check"], found["severity"], strict=True)), table


@cache
def found_in_a_clean_screen() -> frozenset[tuple[str, str]]:
    return frozenset(named(clean(0))[0])


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name.replace(" ", "-"))
def test_a_planted_fault_is_named_with_what_it_threatens_and_its_mend(fault):
    found, table = named(plant(fault, clean(0)), fault)
    assert (fault.check, fault.severity) in found
    row = table[(table["check"] == fault.check) & (table["severity"] == fault.severity)].iloc[0]
    assert row["evidence"] and row["threatens"] and row["mend"]
    assert (fault.check, fault.severity) not in found_in_a_clean_screen()


@pytest.mark.parametrize("seed", range(5))
def test_a_clean_screen_raises_no_alarm(seed):
    found, table = named(clean(seed))
    assert found == set(), table.to_string()


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("an edit at two fifths of the depth", "cells without a label"),
        ("an edit at two fifths of the depth", "no controls"),  # compared with the other edits
        ("six in ten cells escaped", "no controls"),
        ("fractional counts", "a NaN"),
        ("a NaN", "base 2"),
        ("cells without counts", "no logarithm"),
        ("edits by symbol, genes by identifier", "dying cells"),  # mitochondrial genes have known identifiers
        ("edits by symbol, genes by identifier", "an arrested edit"),  # so have those of the phases
    ],
)
def test_a_fault_does_not_hide_another(first, second):
    by_name = {fault.name: fault for fault in FAULTS}
    faults = by_name[first], by_name[second]
    found, _ = named(plant(faults[1], plant(faults[0], clean(0))))
    assert {(fault.check, fault.severity) for fault in faults} <= found


def test_genes_of_a_phase_are_known_by_old_and_new_symbols_and_by_identifiers_of_man_and_mouse():
    s, g2m = (
        ["MLF1IP", "CENPU", "Mcm5", "ENSG00000151725.4", "ENSMUSG00000005410"],
        ["Top2a", "JPT1", "ENSG00000131747"],
    )
    assert is_listed(s, S_PHASE).all() and is_listed(g2m, G2M_PHASE).all()
    assert not is_listed(s, G2M_PHASE).any() and not is_listed([*g2m, "ACTB", "ENSG00000000001"], S_PHASE).any()


def test_mitochondrial_genes_are_known_by_symbol_and_by_identifier():
    known = (
        "MT-ND1 mt-Co2 MT-RNR2 ENSG00000198888 ENSG00000211459 ENSG00000210082.2 ENSMUSG00000064337 ENSMUSG00000064339"
    )
    assert all(map(is_mitochondrial, known.split()))
    assert not any(map(is_mitochondrial, ["MTOR", "ENSG00000198793", "ENSMUSG00000000001"]))


def test_the_edit_and_the_guide_at_fault_are_named():
    by_name = {fault.name: fault for fault in FAULTS}
    data = clean(0)
    edit = edits(data)[0]
    table = named(plant(by_name["a guide that does not work"], data))[1].set_index("check")
    assert f"{edit}_g2" in table.loc["guides of one gene", "evidence"]
    table = named(plant(by_name["an edit at two fifths of the depth"], clean(0)))[1].set_index("check")
    # 0.4 of the counts, less a little for cells of nothing but noise.
    assert (
        f"{edit} at 48 h (×0.4" in table.loc["depth by edit", "evidence"]
        or f"{edit} at 48 h (×0.3" in table.loc["depth by edit", "evidence"]
    )


def test_without_controls_nothing_is_said_against_them():
    data = clean(0)
    data = data[np.setdiff1d(np.arange(data.n_obs), rows(data, "control"))].copy()
    data.obs["perturbation"] = data.obs["perturbation"].cat.remove_unused_categories()
    assert {name for name, _ in named(data)[0]} == {"controls"}
