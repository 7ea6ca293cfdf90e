"""Audit a labelled collection: copies, groups, balance, quality, traces of the source, shift."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from medseal.datasets.audit.assignment import assignment
from medseal.datasets.audit.confounding import (
    label_findings,
    shift_findings,
    shift_rows,
    source_findings,
    trace_rows,
)
from medseal.datasets.audit.findings import Audit, CopyPair, Finding, Level
from medseal.datasets.audit.measure import FLAWS, Measured, Progress, measure
from medseal.datasets.copies import find_copies
from medseal.datasets.loader import Dataset, Record
from medseal.errors import InputError

__all__ = ["audit"]

_SEED = 1
_MAX_IMBALANCE = 10
_MIN_FLAWED = 0.01
_LEVELS: tuple[Level, ...] = ("problem", "warning", "note")
Target = tuple[str, NDArray[np.int64]]


def audit(
    dataset: Dataset, *, split_file: Path | None = None, progress: Progress
) -> tuple[Audit, Measured]:
    """Return what speaks against believing results on a data set, and what was measured.

    Parameters
    ----------
    dataset
        Images with labels, groups and sources.
    split_file
        As `medseal.datasets.audit.assignment.assignment` takes it.
    progress
        Called with a line from time to time.

    Raises
    ------
    InputError
        The split does not fit, or no image can be read.

    Notes
    -----
    The same data give the same audit: all random draws have a fixed seed.
    """
    origin, parts = assignment(dataset, split_file)
    measured = measure(dataset, progress=progress)
    if not measured.records:
        path, reason = measured.unreadable[0]
        raise InputError(f"no image can be read; the first, {path}: {reason}")
    progress("looking for copies")
    pairs, kinds = _copies(measured, parts)
    generator = np.random.default_rng(_SEED)
    rows = trace_rows(measured, _targets(dataset, measured), generator=generator, progress=progress)
    progress("comparing the parts of the split")
    own = [parts.get(record.path, "") for record in measured.records]
    shift = shift_rows(measured, own, generator=generator)
    findings = [
        *_reading_findings(dataset, measured),
        *_copy_findings(pairs),
        *_group_findings(measured.records, parts),
        *label_findings(rows),
        *_balance_findings(measured.records),
        *source_findings(rows),
        *shift_findings(shift),
        *_quality_findings(measured),
    ]
    done = Audit(
        data_set=dataset.name,
        images=len(dataset.records),
        groups=len({record.group for record in dataset.records}),
        classes=dataset.classes,
        split=origin,
        counts=dict(Counter(parts.values())),
        balance=_balance(dataset, measured.records, parts),
        copy_counts=kinds,
        copies=tuple(
            pair for pair in pairs if not (pair.same_group and pair.same_part and pair.same_label)
        ),
        flaws=dict(Counter(flaw for flaws in measured.flaws for flaw in flaws)),
        traces=(*rows, *shift),
        findings=tuple(sorted(findings, key=lambda finding: _LEVELS.index(finding.level))),
    )
    return done, measured


def _targets(dataset: Dataset, measured: Measured) -> list[Target]:
    """Return what is to be read from traces: label, label in each source, source."""
    records = measured.records
    labels = np.array([dataset.label_index(record) for record in records], dtype=np.int64)
    targets: list[Target] = [("label", labels)]
    names = sorted({record.source for record in records})
    if len(names) > 1:
        source = np.array([names.index(record.source) for record in records], dtype=np.int64)
        for number, name in enumerate(names):
            inside = np.where(source == number, labels, -1)
            if len(set(inside.tolist()) - {-1}) > 1:
                targets.append((f"label in {name}", inside))
        targets.append(("source", source))
    return targets


def _copies(measured: Measured, parts: Mapping[str, str]) -> tuple[list[CopyPair], dict[str, int]]:
    found = find_copies(measured.thumbnails, measured.digests)
    pairs = []
    for copy in found:
        first, second = measured.records[copy.first], measured.records[copy.second]
        pairs.append(
            CopyPair(
                first=first.path,
                second=second.path,
                kind=copy.kind,
                correlation=round(copy.correlation, 4),
                same_group=first.group == second.group,
                same_part=parts.get(first.path) == parts.get(second.path),
                same_label=first.label == second.label,
            )
        )
    return pairs, dict(Counter(pair.kind for pair in pairs))


def _reading_findings(dataset: Dataset, measured: Measured) -> list[Finding]:
    found = [
        Finding(
            level="warning",
            subject="reading",
            text=note,
            next_step="tell whoever publishes this split; results of others hold these images",
        )
        for note in dataset.notes
    ]
    if measured.unreadable:
        path, reason = measured.unreadable[0]
        found.append(
            Finding(
                level="problem",
                subject="files",
                text=f"{len(measured.unreadable)} images cannot be read, the first: "
                f"{path}: {reason}",
                next_step="fetch these files again or take them out of the table",
            )
        )
    return found


def _copy_findings(pairs: Sequence[CopyPair]) -> list[Finding]:
    found = []
    crossing = [pair for pair in pairs if not pair.same_part]
    if crossing:
        found.append(
            Finding(
                level="problem",
                subject="copies",
                text=f"{len(crossing)} pairs of copies stand in two parts of the split, the first: "
                f"{_pair(crossing[0])}",
                next_step="give copies one group, or let `medseal data split` draw the split",
            )
        )
    torn = [pair for pair in pairs if pair.same_part and not pair.same_group]
    if torn:
        found.append(
            Finding(
                level="warning",
                subject="copies",
                text=f"{len(torn)} pairs of copies have different groups, the first: "
                f"{_pair(torn[0])}",
                next_step="give them one group, or another split will tear them apart",
            )
        )
    unlike = [pair for pair in pairs if not pair.same_label]
    if unlike:
        found.append(
            Finding(
                level="warning",
                subject="copies",
                text=f"{len(unlike)} pairs of copies have different labels, the first: "
                f"{_pair(unlike[0])}",
                next_step="look at them and correct or drop one label",
            )
        )
    together = sum(pair.same_group for pair in pairs)
    if together:
        text = f"{together} pairs of copies lie inside one group, as they should"
        found.append(Finding(level="note", subject="copies", text=text))
    return found


def _pair(pair: CopyPair) -> str:
    return f"{pair.first} and {pair.second} ({pair.kind}, {pair.correlation:.3f})"


def _group_findings(records: Sequence[Record], parts: Mapping[str, str]) -> list[Finding]:
    homes: dict[str, set[str]] = defaultdict(set)
    for record in records:
        if record.path in parts:
            homes[record.group].add(parts[record.path])
    crossing = sorted(group for group, found in homes.items() if len(found) > 1)
    if not crossing:
        return []
    return [
        Finding(
            level="problem",
            subject="groups",
            text=f"{len(crossing)} patients or groups stand in two parts of the split, the first: "
            f"{crossing[0]} in {' and '.join(sorted(homes[crossing[0]]))}",
            next_step="let `medseal data split` draw the split by group",
        )
    ]


def _balance(
    dataset: Dataset, records: Sequence[Record], parts: Mapping[str, str]
) -> dict[str, dict[str, int]]:
    """Return the number of images of each class in each part, source and sub-collection."""
    rows: dict[str, Counter[str]] = defaultdict(Counter)
    for record in records:
        rows["all"][record.label] += 1
        if record.path in parts:
            rows[f"part {parts[record.path]}"][record.label] += 1
        rows[f"source {record.source}"][record.label] += 1
        if record.collection:
            rows[f"collection {record.collection}"][record.label] += 1
    return {
        name: {label: rows[name][label] for label in dataset.classes}
        for name in sorted(rows, key=lambda name: (name != "all", name))
    }


def _balance_findings(records: Sequence[Record]) -> list[Finding]:
    found = []
    counts = Counter(record.label for record in records)
    few, many = min(counts.values()), max(counts.values())
    if many > _MAX_IMBALANCE * few:
        found.append(
            Finding(
                level="warning",
                subject="balance",
                text=f"the largest class has {many} images, the smallest {few}",
                next_step="judge by balanced accuracy and weight the classes in training",
            )
        )
    by_source: dict[str, set[str]] = defaultdict(set)
    by_collection: dict[str, set[str]] = defaultdict(set)
    for record in records:
        by_source[record.source].add(record.label)
        if record.collection:
            by_collection[record.collection].add(record.label)
    single = sorted(name for name, labels in by_source.items() if len(labels) == 1)
    if len(by_source) > 1 and single:
        found.append(
            Finding(
                level="problem",
                subject="source",
                text=f"{len(single)} of {len(by_source)} sources hold one class only: "
                f"{', '.join(single)}",
                next_step="add the other classes from these sources, or leave the sources out",
            )
        )
    if len(by_collection) > 1 and all(len(labels) == 1 for labels in by_collection.values()):
        listed = "; ".join(
            f"{name}: {next(iter(by_collection[name]))}" for name in sorted(by_collection)
        )
        found.append(
            Finding(
                level="note",
                subject="source",
                text=f"file names show sub-collections that hold one class each ({listed}): "
                "the classes may come from different cameras or scanners",
            )
        )
    return found


def _quality_findings(measured: Measured) -> list[Finding]:
    counts = Counter(flaw for flaws in measured.flaws for flaw in flaws)
    first = {
        flaw: record.path
        for record, flaws in reversed(list(zip(measured.records, measured.flaws, strict=True)))
        for flaw in flaws
    }
    return [
        Finding(
            level="warning" if count >= _MIN_FLAWED * len(measured.records) else "note",
            subject="quality",
            text=f"{count} images: {flaw} ({FLAWS[flaw]}), the first: {first[flaw]}",
            next_step="look at them before training",
        )
        for flaw, count in sorted(counts.items())
    ]
