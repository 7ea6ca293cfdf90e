"""What an audit says: findings with a level and a next step, and the figures behind them."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from medseal.datasets.audit.separability import Separability

__all__ = ["Audit", "CopyPair", "Finding", "Level", "TraceRow"]

Level = Literal["problem", "warning", "note"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that a person should know before believing results on the data.

    Attributes
    ----------
    level
        ``problem`` makes results invalid, ``warning`` needs a look, ``note`` is for the record.
    subject
        A word: copies, groups, files, balance, quality, trace, source, shift, reading.
    text
        What was found, with its figures.
    next_step
        What to do; empty for a note.
    """

    level: Level
    subject: str
    text: str
    next_step: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceRow:
    """How well one target is read from one trace.

    Attributes
    ----------
    target
        ``label``, ``label in SOURCE``, ``source``, or two parts of the split.
    trace
        Key of `medseal.datasets.audit.traces.TRACES`, or ``all``.
    result
        None where nothing can be read: all images alike, or too few groups.
    """

    target: str
    trace: str
    result: Separability | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyPair:
    """Two images that show the same picture, by path, and how they stand to each other."""

    first: str
    second: str
    kind: str
    correlation: float
    same_group: bool
    same_part: bool
    same_label: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    """The outcome of an audit.

    Attributes
    ----------
    data_set, images, groups, classes
        What was audited.
    split, counts
        Where the split comes from: ``given``, ``drawn`` or the name of a file; images a part.
    balance
        Source, sub-collection or part, to class, to number of images.
    copy_counts, copies
        Number of pairs by kind, and the pairs that cross groups, parts or labels.
    flaws
        Number of images by flaw.
    traces
        All figures.
    findings
        The worst first.
    """

    data_set: str
    images: int
    groups: int
    classes: tuple[str, ...]
    split: str
    counts: Mapping[str, int]
    balance: Mapping[str, Mapping[str, int]]
    copy_counts: Mapping[str, int]
    copies: tuple[CopyPair, ...]
    flaws: Mapping[str, int]
    traces: tuple[TraceRow, ...]
    findings: tuple[Finding, ...]

    @property
    def exit_code(self) -> int:
        """1 if a finding makes results on the data invalid, else 0."""
        return int(any(finding.level == "problem" for finding in self.findings))

    def to_json(self) -> dict[str, Any]:
        """Return everything as plain values."""
        return asdict(self)
