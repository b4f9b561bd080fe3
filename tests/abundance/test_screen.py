from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binom, t
from small_guides import bottlenecked, guide_screen, library

from semimech import DataError
from semimech.abundance import analyse_abundance, counted_shares, estimate_founders, guide_counts

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


def test_intervals_hold_half_of_the_heads_whose_clones_grow_at_random_as_often_as_they_say():
    covered = []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        share = library(60, rng)
        before = counted_shares(rng.multinomial(60_000, share).astype(float))
        counts = bottlenecked(share, founders=600, reads=40_000, variable=True, rng=rng).astype(float)
        found = estimate_founders(counts, before, clone_variance=1.0, dispersion=0.0)
        covered.append(found.lower < 300 < found.upper)
    least, most = binom.interval(0.99, 60, 0.9)
    assert least <= sum(covered) <= most


def test_the_interval_of_a_gene_is_students_around_its_standard_error(found):
    half = found.genes["upper"] - found.genes["effect"]
    np.testing.assert_allclose(half, t.ppf(0.95, found.genes["guides"] - 1) * found.genes["standard_error"])


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


def test_where_most_guides_do_nothing_all_calibrate_and_every_gene_is_tested():
    table, sheet = guide_screen(n_genes=20, guides=3, n_neutral=40, effects={"g1": -0.04}, hours=(0, 96))
    found = analyse_abundance(guide_counts(table, sheet, neutral=("all",)))
    assert found.guides["neutral"].all() and len(found.genes) == 20
    assert found.genes["gene"].iloc[0] == "g1" and found.genes["fdr"].iloc[0] < 0.05


def test_a_sample_as_early_as_its_reference_is_refused_and_not_made_a_fold_change():
    table, sheet = guide_screen(n_genes=10, guides=3, n_neutral=40)
    sheet.loc[1, "hours"] = 0
    with pytest.raises(DataError, match="hours of after48 are not above those of the cells before"):
        analyse_abundance(guide_counts(table, sheet))


def test_genes_that_were_not_there_before_are_named():
    table, sheet = guide_screen(n_genes=10, guides=3, n_neutral=40, hours=(0, 96))
    table.loc[:3, "before"] = 3
    found = analyse_abundance(guide_counts(table, sheet))
    assert len(found.genes) == 9
    assert "4 guides have too few reads" in found.left_out_in_words()
    assert found.left_out_in_words().endswith("all guides of 1 genes: g0")
