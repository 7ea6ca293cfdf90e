import pytest

from medseal.datasets.audit.confounding import (
    label_findings,
    said,
    shift_findings,
    source_findings,
)
from medseal.datasets.audit.findings import TraceRow
from medseal.datasets.audit.separability import Separability


def row(trace, low, *, target="label", chance=0.5, random_labels=0.52):
    result = Separability(
        balanced_accuracy=low + 0.02,
        low=low,
        high=low + 0.04,
        chance=chance,
        random_labels=random_labels,
        images=100,
        groups=90,
    )
    return TraceRow(target=target, trace=trace, result=result)


@pytest.mark.parametrize(
    ("found", "level"),
    [
        (row("file header", 0.56), "problem"),
        (row("texture", 0.56), "warning"),
        (row("texture", 0.79), "warning"),
        (row("texture", 0.81), "problem"),
        (row("border", 0.56, target="label in A"), "warning"),
        (row("border", 0.72, chance=1 / 3), "warning"),
        (row("border", 0.74, chance=1 / 3), "problem"),
    ],
)
def test_levels_of_readable_labels(found, level):
    findings = label_findings([found])
    assert findings[-1].level == level
    assert findings[-1].text.startswith(f"the {found.target} can be read from the {found.trace}")
    assert findings[-1].next_step
    assert len(findings) == (2 if level == "problem" else 1)


@pytest.mark.parametrize(
    "found",
    [
        row("file header", 0.53),
        row("file header", 0.56, random_labels=0.6),
        row("file header", 0.99, target="source"),
        TraceRow(target="label", trace="border", result=None),
    ],
)
def test_what_is_no_finding(found):
    assert label_findings([found]) == []


def test_sources_make_one_finding():
    rows = [row(trace, low, target="source") for trace, low in (("border", 0.7), ("texture", 0.9))]
    [finding] = source_findings([*rows, row("histogram", 0.51, target="source")])
    assert "texture 0.92, border 0.72; chance 0.50" in finding.text
    assert source_findings([row("border", 0.9)]) == []


def test_small_shifts_are_luck():
    wide = row("all", 0.56, target="validation or test")
    [finding] = shift_findings([wide, row("all", 0.52, target="train or test")])
    assert finding.text.startswith("validation and test images can be told apart")
    assert said(wide.result) in finding.text
