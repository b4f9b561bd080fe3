"""Prior networks and where the data lie."""

import numpy as np
import pandas as pd
import pytest
from benchmarks import sets

from semimech._errors import DataError


@pytest.mark.parametrize("false_share", [0.0, 0.2, 0.5])
def test_a_noisy_prior_holds_every_true_edge_and_the_asked_share_of_false_ones(false_share):
    genes = [f"G{i}" for i in range(12)]
    gold = pd.DataFrame([(genes[i], genes[(i + 3) % 12]) for i in range(12)], columns=["source", "target"])
    prior = sets.noisy_prior(gold, genes, false_share=false_share, rng=np.random.default_rng(1))
    edges = set(prior.itertuples(index=False, name=None))
    true = set(gold.itertuples(index=False, name=None))
    assert true <= edges
    assert len(edges) == len(prior)
    assert len(edges - true) / len(edges) == pytest.approx(false_share)
    assert all(source != target for source, target in edges)


def test_a_noisy_prior_differs_only_with_the_generator():
    genes = [f"G{i}" for i in range(12)]
    gold = pd.DataFrame({"source": genes[:-1], "target": genes[1:]})
    one, same, other = (sets.noisy_prior(gold, genes, rng=np.random.default_rng(seed)) for seed in (1, 1, 2))
    pd.testing.assert_frame_equal(one, same)
    assert not one.equals(other)


@pytest.mark.parametrize(("false_share", "message"), [(1.0, r"\[0, 1\)"), (-0.1, r"\[0, 1\)"), (0.9, "are absent")])
def test_a_noisy_prior_refuses_a_share_that_cannot_be_had(false_share, message):
    gold = pd.DataFrame({"source": ["A", "B"], "target": ["B", "C"]})
    with pytest.raises(ValueError, match=message):
        sets.noisy_prior(gold, ["A", "B", "C"], false_share=false_share, rng=np.random.default_rng(0))


def test_a_missing_file_names_the_variable_to_set(tmp_path):
    with pytest.raises(DataError, match="SEMIMECH_SHARED_DATA"):
        sets.read_dream4(tmp_path, 10, 1)


def test_no_folder_of_real_data_is_not_an_error(monkeypatch, tmp_path):
    monkeypatch.setenv("SEMIMECH_SHARED_DATA", str(tmp_path / "absent"))
    assert sets.shared_data() is None
    monkeypatch.setenv("SEMIMECH_SHARED_DATA", str(tmp_path))
    assert sets.shared_data() == tmp_path
