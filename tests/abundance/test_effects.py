from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from semimech.abundance.effects import gene_effects


def guides(effect, error=None, gene="A"):
    error = [0.1] * len(effect) if error is None else error
    return pd.DataFrame({"gene": gene, "effect": effect, "standard_error": error}, dtype=object).astype(
        {"effect": float, "standard_error": float}
    )


def test_guides_that_agree_are_weighted_by_their_precision():
    found = gene_effects(guides([1.0, 1.3], [0.5, 1.0])).iloc[0]
    assert found["effect"] == pytest.approx((1.0 * 4 + 1.3) / 5)


def test_guides_that_disagree_count_alike_and_widen_the_interval():
    found = gene_effects(guides([0.0, 6.0], [0.1, 0.2])).iloc[0]
    assert found["effect"] == pytest.approx(3.0, abs=0.01)
    assert found["lower"] < 0 < 6 < found["upper"]


def test_intervals_cover_effects_of_guides_that_differ():
    rng = np.random.default_rng(0)
    n, size = 2_000, 5
    gene = np.repeat([f"g{i:04d}" for i in range(n)], size)
    error = rng.uniform(0.2, 0.6, n * size)
    effect = 1.0 + rng.normal(0.0, 0.5, n * size) + rng.normal(size=n * size) * error
    found = gene_effects(guides(effect, error, gene), level=0.9)
    assert np.mean((found["lower"] < 1.0) & (found["upper"] > 1.0)) == pytest.approx(0.9, abs=0.03)


@settings(max_examples=15)
@given(st.lists(st.floats(-5, 5), min_size=1, max_size=6), st.floats(-10, 10))
def test_a_shift_of_all_guides_shifts_the_gene(values, shift):
    first, second = gene_effects(guides(values)), gene_effects(guides([v + shift for v in values]))
    np.testing.assert_allclose(
        second[["effect", "lower", "upper"]] - shift, first[["effect", "lower", "upper"]], atol=1e-6
    )
