from __future__ import annotations

import pytest
from benchmarks.batching import trial


def test_matched_controls_take_the_batch_effect_out_of_gradients_where_edits_are_confounded_with_batches():
    found = trial(0.5, 1.0, seed=3)
    # At the truth the matched gradient holds 24 cells and 24 controls, and what 60 and 480 of them miss of the truth; the random
    # one also the offset of the edit's batch against the mean of six, of variance 0.5 (1 - 1/6).
    assert found["matched"]["gradient"] == pytest.approx(2 / 24, rel=0.4)
    assert found["random"]["gradient"] == pytest.approx(2 / 24 + 0.5 * 5 / 6, rel=0.4)
    assert found["matched"]["error"] < found["random"]["error"] / 3
