"""Random networks: hubs, feedback, and no idle regulator."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from semimech.simulate.network import random_wiring

SETTINGS = {"mean_sites": 2.0, "max_sites": 5, "hub_exponent": 0.7, "activator_share": 0.6, "pair_share": 0.2}


def wiring(n_genes, n_regulators, seed=0, **changes):
    return random_wiring(n_genes, n_regulators, **(SETTINGS | changes), rng=np.random.default_rng(seed))


def out_degree(network, n_regulators):
    both = np.concatenate([network.first.ravel(), network.second.ravel()])
    return np.bincount(both[both < n_regulators], minlength=n_regulators)


@given(seed=st.integers(0, 10_000), n_genes=st.integers(4, 40), share=st.floats(0.1, 1.0))
def test_sites_are_consistent(seed, n_genes, share):
    n_regulators = max(1, int(share * n_genes))
    network = wiring(n_genes, n_regulators, seed)
    has_site = network.sign != 0
    np.testing.assert_array_equal(has_site, network.first < n_regulators)
    assert not (~has_site & (network.second < n_regulators)).any()
    for gene in range(n_genes):
        bound = network.first[has_site[:, gene], gene]
        assert len(set(bound)) == len(bound), "a regulator has one site of its own per promoter"
        partners = network.second[:, gene][network.second[:, gene] < n_regulators]
        assert gene not in {*bound, *partners}
        assert not set(partners) & set(bound)


@given(seed=st.integers(0, 10_000))
def test_every_regulator_has_a_target(seed):
    assert (out_degree(wiring(60, 20, seed), 20) > 0).all()


@given(seed=st.integers(0, 10_000))
def test_there_is_a_negative_feedback_loop(seed):
    network = wiring(30, 10, seed)
    sign = np.zeros((30, 30))
    for site, gene in zip(*np.nonzero(network.sign), strict=True):
        sign[gene, network.first[site, gene]] = network.sign[site, gene]
    assert (sign * sign.T < 0).any()


def test_hubs_stand_out_as_the_exponent_says():
    """A power law has a largest degree far above the mean; equal regulators do not."""
    ratios = []
    for exponent in (0.0, 0.9):
        degree = np.concatenate([out_degree(wiring(400, 100, s, hub_exponent=exponent), 100) for s in range(5)])
        ratios.append(degree.max() / degree.mean())
    assert ratios[0] < 3 < 6 < ratios[1]


def test_shares_of_activation_and_pairs_are_as_asked():
    network = wiring(2000, 200)
    sites = network.sign != 0
    assert sites.sum() / 2000 == pytest.approx(2.0, abs=0.15)
    assert (network.sign[sites] > 0).mean() == pytest.approx(0.6, abs=0.03)
    assert (network.second[sites] < 200).mean() == pytest.approx(0.2, abs=0.03)
