from __future__ import annotations

import numpy as np
import pytest
from small_guides import guide_screen

from semimech import DataError
from semimech.abundance import analyse_abundance, guide_counts

GROWTH = {"g3": -0.03, "g7": 0.02}


@pytest.fixture(scope="module")
def found():
    return analyse_abundance(guide_counts(*guide_screen(effects=GROWTH)))


def test_growth_per_hour_is_found_within_its_interval(found):
    assert found.unit == "ln per hour"
    genes = found.genes.set_index("gene")
    assert set(found.genes["gene"].head(2)) == set(GROWTH)
    for gene, rate in GROWTH.items():
        assert genes.loc[gene, "fdr"] < 0.01
        assert genes.loc[gene, "effect"] == pytest.approx(rate, abs=0.01)
        assert genes.loc[gene, "lower"] < rate < genes.loc[gene, "upper"]


def test_genes_that_only_drift_are_not_found(found):
    others = found.genes[~found.genes["gene"].isin(GROWTH)]
    assert (others["fdr"] > 0.05).all()
    assert np.mean(others["p"] < 0.05) <= 0.16
    covered = (others["lower"] < 0) & (others["upper"] > 0)
    assert covered.mean() > 0.75


def test_founders_of_each_sample_are_half_of_the_heads_whose_clones_grow_at_random(found):
    for row in found.founders.to_dict("records"):
        assert row["lower"] * 0.7 < 10_000 < row["upper"] * 1.4


def test_guides_tell_what_share_of_the_effect_each_has(found):
    shares = found.guides.set_index("gene")["share_of_effect"]
    assert shares.loc["g3"].mean() == pytest.approx(1.0, abs=0.2)
    assert shares.drop(index=list(GROWTH)).isna().all()


def test_without_hours_effects_are_fold_changes():
    table, sheet = guide_screen(n_genes=10, guides=3, n_neutral=40, effects={"g1": -0.03}, hours=(0, 96))
    found = analyse_abundance(guide_counts(table, sheet.assign(hours="")))
    assert found.unit == "ln"
    assert found.genes["gene"].iloc[0] == "g1"
    assert found.genes["effect"].iloc[0] == pytest.approx(-0.03 * 96, abs=0.8)


def test_too_few_neutral_guides_are_an_error():
    table, sheet = guide_screen(n_genes=3, n_neutral=5)
    with pytest.raises(DataError, match="5 neutral guides with 10 reads before, at least 8"):
        analyse_abundance(guide_counts(table, sheet))
