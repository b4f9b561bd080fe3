from __future__ import annotations

import numpy as np
import pytest
from small_data import condition

from semimech._errors import DataError
from semimech.data import dataset_from_means, identity_scale, log_scale

CONDITIONS = (condition("control", 24), condition("A", 24), condition("A", 24, medium="M"))


def test_a_table_of_means_is_a_data_set():
    mean = np.arange(6.0).reshape(3, 2)
    found = dataset_from_means(["A", "B"], CONDITIONS, mean, scale=log_scale(), n=[3, 2, 1], name="bulk")
    assert found.system.media == ("M",) and found.n_cells.tolist() == [3, 2, 1] and found.cells is None
    np.testing.assert_array_equal(found.mean, mean)
    np.testing.assert_allclose(found.state, np.exp(mean), rtol=1e-3)
    assert np.isnan(found.standard_error).all()


def test_the_fingerprint_of_a_table_follows_its_numbers():
    make = [dataset_from_means(["A"], CONDITIONS[:1], np.array([[x]]), scale=identity_scale()) for x in (1, 1, 2)]
    assert make[0].fingerprint == make[1].fingerprint != make[2].fingerprint


def test_all_faults_of_a_table_are_listed():
    with pytest.raises(DataError, match="3 faults"):
        dataset_from_means(
            ["A"], CONDITIONS, np.zeros((3, 2)), standard_error=-np.ones((3, 1)), n=[1, 0, 1], scale=identity_scale()
        )
    with pytest.raises(DataError, match="2 faults"):
        dataset_from_means(
            ["A"], CONDITIONS, np.zeros((3, 1)), standard_error=np.ones(3), n=[1], scale=identity_scale()
        )
