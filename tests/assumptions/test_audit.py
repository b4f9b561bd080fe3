"""The audit sees what is false, keeps silent where the arm is missing, and says which families may be used."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pytest
import scipy.sparse as sp
from benchmarks.audit_worlds import VIOLATIONS, Size, make_screen
from small_screens import screen

from semimech._errors import ConfigError, DataError
from semimech.assumptions import ASSUMPTIONS, FAMILIES
from semimech.assumptions.diagnostics import Audit, Finding, audit, audit_screen, find_family
from semimech.assumptions.diagnostics.finding import told_together
from semimech.data.curation.target_moments import escape
from semimech.data.schema import Keys

TESTED = {*VIOLATIONS, "effect independent of time", "batch not confounded with edits"}
LARGE = Size(cells=60)


def verdicts(found: Audit) -> dict[str, str]:
    return {finding.assumption.id: finding.verdict for finding in found.findings}


def test_where_all_is_true_nothing_fails_and_what_is_not_tested_is_left_open():
    found = verdicts(audit_screen(make_screen(LARGE, seed=7)))
    assert list(found) == [assumption.id for assumption in ASSUMPTIONS]
    assert "fails" not in found.values()
    assert {name for name, verdict in found.items() if verdict == "holds"} >= {
        *("full efficacy", "depth independent of edit", "batch not confounded with edits"),
        "control stationarity",
    }
    assert {found[a.id] for a in ASSUMPTIONS if a.id not in TESTED} == {"cannot tell"}


@pytest.mark.parametrize("violated", VIOLATIONS)
def test_an_assumption_that_is_false_is_seen(violated):
    found = audit_screen(make_screen(LARGE, seed=5, violated=violated, strength=1.3))
    finding = next(f for f in found.findings if f.assumption.id == violated)
    assert finding.verdict == "fails"
    assert finding.p_value <= 0.05
    assert finding.size >= finding.margin or "largest" in finding.evidence
    assert finding.would_tell == ""


def test_the_share_of_escapers_is_estimated():
    found = audit_screen(make_screen(Size(cells=400, genes=30), seed=0, violated="full efficacy"))
    finding = next(f for f in found.findings if f.assumption.id == "full efficacy")
    assert finding.size == pytest.approx(0.3, abs=0.05)


def test_the_share_of_escapers_follows_from_the_moments_of_a_mixture():
    rng = np.random.default_rng(0)
    n, share, kept = 400_000, 0.25, 0.2
    depth = rng.lognormal(0.0, 0.3, (2, n))
    rate = rng.gamma(2.0, 2.0, (2, n))
    rate[0] *= np.where(rng.random(n) < share, 1.0, kept)
    counts = rng.poisson(rate * depth).astype(float)
    found = escape(counts[0], counts[1], depth[0], depth[1])
    assert found.kept == pytest.approx(share + (1 - share) * kept, rel=0.02)
    assert found.share == pytest.approx(share, rel=0.05)


def table(**fields) -> ad.AnnData:
    """A small screen of 25 cells of each condition; times, media and batches as asked."""
    return screen(n=25, depth=400.0, **fields)


def test_times_in_batches_of_their_own_cannot_tell_whether_controls_move():
    data = table()
    data.obs["batch"] = data.obs["day"].astype(str)
    found = {f.assumption.id: f for f in audit(data).findings}
    assert found["control stationarity"].verdict == "cannot tell"
    assert found["effect independent of time"].comparisons > 0  # effects are within batches, and can be compared


def test_batches_that_are_not_named_cannot_tell_and_an_edit_without_controls_beside_it_fails():
    data = table()
    unnamed = data.copy()
    del unnamed.obs["batch"]
    assert verdicts(audit(unnamed))["batch not confounded with edits"] == "cannot tell"
    assert verdicts(audit(data))["batch not confounded with edits"] == "holds"
    data.obs.loc[data.obs["perturbation"] == "A", "batch"] = "alone"
    found = {f.assumption.id: f for f in audit(data).findings}["batch not confounded with edits"]
    assert found.verdict == "fails"
    assert "A" in found.evidence


def test_cells_whose_batch_is_shifted_are_not_taken_for_an_effect():
    """Every gene of batch b2 is counted twice as often as a share: within batches nothing differs."""
    data = table()
    counts = data.X.toarray()
    counts[np.ix_((data.obs["batch"] == "b2").to_numpy(), [0, 1])] *= 3
    data.X = sp.csr_matrix(counts)
    found = {f.assumption.id: f for f in audit(data).findings}
    for name in ("control stationarity", "effect independent of time", "additive combinations"):
        assert found[name].p_value > 0.01


def test_a_family_may_be_used_as_its_assumptions_stand():
    def given(assumption, verdict):
        return Finding(assumption=assumption, verdict=verdict, evidence="")

    family = FAMILIES[0]
    all_hold = Audit(findings=tuple(given(a, "holds") for a in ASSUMPTIONS))
    assert all_hold.verdict(family) == "holds"
    assert "may be used" in all_hold.conclusion(family)
    first = family.assumptions[0]
    for verdict, said in (("fails", f"not without care: {first.id} fails"), ("cannot tell", "not refuted")):
        found = Audit(findings=tuple(given(a, verdict if a == first else "holds") for a in ASSUMPTIONS))
        assert found.verdict(family) == verdict
        assert said in found.conclusion(family)
        row = found.families().set_index("family").loc[family.id]
        assert row[first.id] == verdict
        assert [row[a.id] for a in ASSUMPTIONS if a not in family.assumptions] == [""] * (
            len(ASSUMPTIONS) - len(family.assumptions)
        )


def test_bad_names_and_bad_data_are_refused_in_words():
    with pytest.raises(ConfigError, match="'latent-shft' is unknown. Did you mean 'latent-shift'"):
        find_family("latent-shft")
    data = table()
    data.obs = data.obs.drop(columns="perturbation")
    with pytest.raises(DataError, match="perturbation"):
        audit(data)


def test_the_same_seed_gives_the_same_audit():
    tables = [audit(table(), Keys(edit_kind="crispri"), seed=3).table() for _ in range(2)]
    assert tables[0].equals(tables[1])


def test_escapers_of_a_published_knockout_screen_are_seen(shared_data):
    """Papalexi et al. 2021 (Nature Genetics 53, 322) found that a part of the cells with a guide had escaped the knockout."""
    data = ad.read_h5ad(shared_data("papalexi_eccite/papalexi_lowmoi.h5ad"))
    best = np.asarray(data.obsm["grna_counts"].argmax(axis=1)).ravel()
    data.obs["target"] = np.asarray(data.uns["grna_target"])[best]
    found = verdicts(audit(data))
    assert found["full efficacy"] == "fails"
    assert found["batch not confounded with edits"] == "holds"
    assert found["control stationarity"] == found["additive combinations"] == "cannot tell"


def test_what_fails_alone_cannot_be_told_among_many_that_were_tested():
    """Adjusted by Benjamini and Hochberg: the least of p·n/rank over those not smaller, by hand."""
    p = (0.04, 0.001, 0.2, 0.03, 0.9)
    found = [
        Finding(assumption=a, verdict="fails" if each <= 0.05 else "holds", evidence="", p_value=each)
        for a, each in zip(ASSUMPTIONS, p, strict=False)
    ]
    together = told_together([*found, Finding(assumption=ASSUMPTIONS[6], verdict="fails", evidence="no test")], 0.05)
    assert [f.p_adjusted for f in together[:5]] == pytest.approx([0.2 / 3, 0.005, 0.25, 0.2 / 3, 0.9])
    assert [f.verdict for f in together] == ["cannot tell", "fails", "holds", "cannot tell", "holds", "fails"]
    assert "5 assumptions tested together" in together[0].would_tell
