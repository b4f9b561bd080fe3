from __future__ import annotations

from collections.abc import Sequence

import anndata as ad
import numpy as np
import pytest

from semimech._errors import ConfigError
from semimech.assumptions import ASSUMPTIONS
from semimech.experiment import Condition, parse_experiment
from semimech.predictor import AbstractPredictor, Prediction

QUERIES = (
    parse_experiment("edit B > wait 1d > harvest first > medium M > wait 2d > harvest", id="two"),
    parse_experiment("wait settled > harvest", id="rest"),
    parse_experiment("edit B > edit A crispri 0.5 > harvest", id="pair"),
)


class Clock(AbstractPredictor):
    """Predicts the hours in each gene, capped, and one less and more as its interval."""

    def predict_conditions(self, conditions: Sequence[Condition]) -> Prediction:
        mean = np.array([[min(c.hours, 1000.0)] * len(self.genes) for c in conditions]).reshape(-1, len(self.genes))
        return Prediction(mean=mean, lower=mean - 1, upper=mean + 1)


@pytest.fixture
def clock() -> Clock:
    return Clock(name="clock", genes=("A", "B"), assumptions=ASSUMPTIONS[:1])


def test_each_harvest_is_one_row_in_the_order_asked(clock):
    obs = clock.predict(QUERIES).obs
    assert list(obs.columns) == ["experiment", "harvest", "perturbation", "hours", "medium"]
    assert obs.values.tolist() == [
        ["two", "first", "B", 24.0, "maintenance"],
        ["two", "harvest", "B", 72.0, "M"],
        ["rest", "harvest", "control", np.inf, "maintenance"],
        ["pair", "harvest", "A+B", 0.0, "maintenance"],
    ]


def test_the_mean_and_its_interval_stand_beside_the_genes(clock):
    predicted = clock.predict(QUERIES)
    assert list(predicted.var_names) == ["A", "B"]
    np.testing.assert_array_equal(predicted.X, [[24, 24], [72, 72], [1000, 1000], [0, 0]])
    np.testing.assert_array_equal(predicted.layers["lower"], predicted.X - 1)
    np.testing.assert_array_equal(predicted.layers["upper"], predicted.X + 1)
    assert {predicted.X.dtype, predicted.layers["lower"].dtype, predicted.layers["upper"].dtype} == {np.dtype("f4")}


def test_a_prediction_survives_its_file(clock, tmp_path):
    predicted = clock.predict(QUERIES)
    predicted.write_h5ad(tmp_path / "predictions.h5ad")
    again = ad.read_h5ad(tmp_path / "predictions.h5ad")
    np.testing.assert_array_equal(again.X, predicted.X)
    assert again.obs.astype(str).equals(predicted.obs.astype(str))


def test_no_query_gives_an_empty_table(clock):
    assert clock.predict(()).shape == (0, 2)


def test_a_prediction_without_interval_says_so():
    prediction = Prediction.without_interval(np.ones((2, 3)))
    assert np.isnan(prediction.lower).all()
    assert np.isnan(prediction.upper).all()


def test_a_predictor_that_names_no_assumption_cannot_be_built():
    with pytest.raises(ConfigError, match="'clock' names no assumption: state what it takes for granted"):
        Clock(name="clock", genes=("A",), assumptions=())


def test_every_assumption_has_its_own_id_and_a_sentence():
    assert len({a.id for a in ASSUMPTIONS}) == len(ASSUMPTIONS)
    assert all(a.statement.endswith(".") for a in ASSUMPTIONS)
