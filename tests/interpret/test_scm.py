"""A fitted model exports one structural causal model for each member."""

from __future__ import annotations

import numpy as np
import pytest
from fitted_by_hand import by_hand
from small_laws import ROSTER, mechanistic

from semimech.interpret import scm_table, to_scm
from semimech.model import LinearSCM

pytestmark = pytest.mark.usefixtures("x64")


def test_members_are_exported_at_the_state_that_the_model_predicts():
    model = by_hand(mechanistic(1, strength=0.2), mechanistic(2, strength=0.2))
    protocol = "medium M > edit A crispri 0.5 > wait settled"
    found = to_scm(model, protocol)
    operator = model.operator(protocol)
    settled = operator.members(operator.unedited)[:, 0] / operator.laws.unit
    assert [each.genes for each in found] == [ROSTER.genes] * 2
    np.testing.assert_allclose([each.state for each in found], settled, atol=1e-6)


def test_unedited_cells_are_the_context_without_a_protocol():
    model = by_hand(mechanistic(1, strength=0.2))
    np.testing.assert_allclose(to_scm(model)[0].matrix, to_scm(model, "wait settled")[0].matrix)


def test_the_table_lists_direct_and_total_effects_with_their_spread():
    chain = np.array([[0.0, 0.0, 0.0], [0.5, 0.0, 0.0], [0.0, 0.4, 0.0]])
    other = chain * np.array([[1.0], [1.0], [2.0]])
    members = [LinearSCM(genes=("A", "B", "C"), matrix=m, constant=np.zeros(3)) for m in (chain, other)]
    table = scm_table(members).set_index(["source", "target"])
    assert sorted(table.index) == [("A", "B"), ("A", "C"), ("B", "C")]
    assert table.loc[("A", "C")].tolist() == pytest.approx([0.0, 0.0, 0.3, 0.1 * 2**0.5])
    assert table.loc[("B", "C")].tolist() == pytest.approx([0.6, 0.2 * 2**0.5, 0.6, 0.2 * 2**0.5])
    assert scm_table(members, least=0.55).shape[0] == 1
    with pytest.raises(ValueError, match="at least one"):
        scm_table([])
