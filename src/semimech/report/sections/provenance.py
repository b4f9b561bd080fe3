"""The sections on what stands behind the numbers: assumptions, settings, versions, sources, how to do it again."""

from __future__ import annotations

from semimech.report.blocks import Block, Code, Fold, Paragraph, Reference, References, Section, Table, empty
from semimech.report.content import ReportContent

_REFERENCES: tuple[Reference, ...] = (
    Reference(
        text="L. Kovačević, T. Gaudelet, J. Opzoomer, H. Triendl, J. Whittaker, C. Uhler, L. Edwards, J. P. Taylor-King. No "
        "Foundations without Foundations: Why semi-mechanistic models are essential for regulatory biology. "
        "arXiv:2501.19178, 2025. The framework.",
        address="https://arxiv.org/abs/2501.19178",
    ),
    Reference(
        text="C. Ahlmann-Eltze, W. Huber, S. Anders. Deep-learning-based gene perturbation effect prediction does not yet "
        "outperform simple linear baselines. Nature Methods 22, 1657–1661, 2025. The linear baselines.",
        address="https://doi.org/10.1038/s41592-025-02772-6",
    ),
    Reference(
        text="J. Bradbury, R. Frostig, P. Hawkins, M. J. Johnson, C. Leary, D. Maclaurin, G. Necula, A. Paszke, J. VanderPlas, "
        "S. Wanderman-Milne, Q. Zhang. JAX: composable transformations of Python+NumPy programs, 2018.",
        address="https://github.com/jax-ml/jax",
    ),
    Reference(
        text="P. Kidger, C. Garcia. Equinox: neural networks in JAX via callable PyTrees and filtered transformations. "
        "Differentiable Programming workshop at NeurIPS, 2021.",
        address="https://arxiv.org/abs/2111.00254",
    ),
    Reference(
        text="P. Kidger. On Neural Differential Equations. Doctoral thesis, University of Oxford, 2021. Diffrax, the solvers.",
        address="https://arxiv.org/abs/2202.02435",
    ),
    Reference(
        text="J. Rader, T. Lyons, P. Kidger. Optimistix: modular optimisation in JAX and Equinox. arXiv:2402.09983, 2024. "
        "Steady states.",
        address="https://arxiv.org/abs/2402.09983",
    ),
    Reference(
        text="I. Virshup, S. Rybakov, F. J. Theis, P. Angerer, F. A. Wolf. anndata: Annotated data. Journal of Open Source "
        "Software, 2024. The file format.",
        address="https://doi.org/10.21105/joss.04371",
    ),
)


def assumption_section(content: ReportContent) -> Section:
    """What the reported model takes for granted."""
    title = "Assumptions"
    if not content.assumptions:
        reason = "The reported model names no assumption; that is itself a reason for care."
        return Section(id="assumptions", title=title, blocks=empty(reason))
    text = (
        "Every prediction here rests on these statements. Where one is wrong for your cells, so may be the predictions; "
        "semimech audit tests on the data those that can be tested."
    )
    said = {finding.assumption.id: f"{finding.verdict}: {finding.evidence}" for finding in content.evidence}
    stated = {a.id: a for a in (*content.assumptions, *(finding.assumption for finding in content.evidence))}
    table = Table(
        caption="What the model takes for granted, what goes wrong where it fails, and the measurement that would tell.",
        head=("Assumption", "Statement", "Equation", "The training data", "If it fails", "What tells"),
        rows=tuple((a.id, a.statement, a.equation, said.get(a.id, "–"), a.breaks, a.arm) for a in stated.values()),
        is_numeric=False,
    )
    return Section(id="assumptions", title=title, blocks=(Paragraph(text=text), table))


def provenance_section(content: ReportContent) -> Section:
    """Settings, versions, and how to make the same numbers again."""
    dataset = content.dataset
    seeds = [] if content.scores.empty else sorted(set(content.scores["seed"].dropna().astype(int)))
    facts = [f"The data have the fingerprint {dataset.fingerprint[:16]}." if dataset.fingerprint else ""]
    facts += [f"Seeds: {', '.join(str(seed) for seed in seeds)}." if seeds else ""]
    facts += ["The same data, settings, versions and seeds give the same numbers on the same machine."]
    blocks: list[Block] = [Paragraph(text=" ".join(fact for fact in facts if fact))]
    if content.command:
        blocks.append(Code(text=content.command))
    if content.settings.strip():
        blocks.append(Fold(title="Settings", blocks=(Code(text=content.settings.strip()),)))
    if content.versions:
        rows = tuple((name, version) for name, version in sorted(content.versions.items()))
        table = Table(
            caption="Versions of the packages used.", head=("Package", "Version"), rows=rows, is_numeric=False
        )
        blocks.append(Fold(title="Versions", blocks=(table,)))
    return Section(id="reproduce", title="How to do it again", blocks=tuple(blocks))


def reference_section() -> Section:
    """What to cite, and what this report rests on."""
    return Section(id="references", title="References", blocks=(References(items=_REFERENCES),))
