"""Can the label, or the source, be read from what the acquisition left in the images."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from medseal.datasets.audit.findings import Finding, TraceRow
from medseal.datasets.audit.measure import Measured, Progress
from medseal.datasets.audit.separability import Separability, separability
from medseal.datasets.audit.traces import TRACES

__all__ = [
    "label_findings",
    "said",
    "shift_findings",
    "shift_rows",
    "source_findings",
    "trace_rows",
]

# Shares of the way from chance to perfect, at the lower bound of the interval.
_WEAK, _STRONG = 0.1, 0.6
# Parts of a random split pass chance by luck more often than by as much as this.
_SHIFT = 0.06
# Alone of the traces this one cannot show a finding at all.
_NO_CONTENT = "file header"
_COARSE = 8
_REMEDIES = {
    "file header": "write all images anew in one size, colour mode and compression",
    "file size": "write all images anew with one compression",
    "border": 'crop to the foreground (crop = "foreground" or "margin")',
    "texture": "bring all images to one resolution, and vary blur, noise and JPEG in training",
    "histogram": "equalise or stretch grey values, and vary them in training",
}


def trace_rows(
    measured: Measured,
    targets: Sequence[tuple[str, NDArray[np.int64]]],
    *,
    generator: np.random.Generator,
    progress: Progress,
) -> list[TraceRow]:
    """Return how well each target is read from each trace.

    Parameters
    ----------
    measured
        Images.
    targets
        Name, and a number for each image; -1 leaves it out.
    generator
        Of folds, permutations and resamples.
    progress
        Called with a line for each target.
    """
    rows = []
    groups = np.array([record.group for record in measured.records])
    for name, numbers in targets:
        progress(f"reading {name} from {len(TRACES)} traces")
        kept = numbers >= 0
        for trace in TRACES:
            result = separability(
                measured.features[trace][kept],
                numbers[kept],
                groups[kept].tolist(),
                generator=generator,
            )
            rows.append(TraceRow(target=name, trace=trace, result=result))
    return rows


def label_findings(rows: Sequence[TraceRow]) -> list[Finding]:
    """Return the traces from which the label can be read, and what to do against it."""
    found = []
    for row in rows:
        result = row.result
        if not row.target.startswith("label") or result is None or not result.is_above_chance:
            continue
        if result.gain < _WEAK:
            continue
        is_problem = result.gain >= _STRONG or row.trace == _NO_CONTENT
        where = row.target.removeprefix("label")
        caution = "" if row.trace == _NO_CONTENT else "; part of it may be the finding itself"
        found.append(
            Finding(
                level="problem" if is_problem else "warning",
                subject="trace",
                text=f"the label{where} can be read from the {row.trace} alone "
                f"({said(result)}){caution}",
                next_step=_REMEDIES[row.trace],
            )
        )
    if any(finding.level == "problem" for finding in found):
        text = (
            "the data are confounded: a model can score well on them without seeing the finding, "
            "and figures inside this collection do not show that it sees it"
        )
        step = (
            "evaluate on a source that was left out of training, and remove the traces named here"
        )
        found.insert(0, Finding(level="problem", subject="trace", text=text, next_step=step))
    return found


def source_findings(rows: Sequence[TraceRow]) -> list[Finding]:
    """Return one finding on the traces that tell the sources apart."""
    told = [
        (row.result.balanced_accuracy, row.trace, row.result)
        for row in rows
        if row.target == "source"
        and row.result is not None
        and row.result.is_above_chance
        and row.result.gain >= _WEAK
    ]
    if not told:
        return []
    names = ", ".join(f"{trace} {score:.2f}" for score, trace, _ in sorted(told, reverse=True))
    return [
        Finding(
            level="warning",
            subject="source",
            text=f"the sources can be told apart (balanced accuracy by trace: {names}; "
            f"chance {told[0][2].chance:.2f})",
            next_step="train on some sources, test on another one, and keep each class balanced "
            "in each source",
        )
    ]


def shift_rows(
    measured: Measured, parts: Sequence[str], *, generator: np.random.Generator
) -> list[TraceRow]:
    """Return how well test images are told from validation and from training images."""
    coarse = measured.thumbnails.reshape(
        len(parts), _COARSE, -1, _COARSE, measured.thumbnails.shape[2] // _COARSE
    )
    pieces = [coarse.mean(axis=(2, 4)).reshape(len(parts), -1).astype(np.float32)]
    pieces += [measured.features[name] for name in ("border", "texture", "histogram")]
    features = np.hstack(pieces)
    part = np.array(parts)
    groups = np.array([record.group for record in measured.records])
    rows = []
    for other in ("validation", "train"):
        kept = (part == other) | (part == "test")
        result = separability(
            features[kept],
            (part[kept] == "test").astype(np.int64),
            groups[kept].tolist(),
            generator=generator,
        )
        rows.append(TraceRow(target=f"{other} or test", trace="all", result=result))
    return rows


def shift_findings(rows: Sequence[TraceRow]) -> list[Finding]:
    """Return the pairs of parts that do not come from one distribution."""
    return [
        Finding(
            level="warning",
            subject="shift",
            text=f"{row.target.replace(' or ', ' and ')} images can be told apart "
            f"({said(row.result)})",
            next_step="do not promise coverage or calibration on test from the other part",
        )
        for row in rows
        if row.result is not None and row.result.is_above_chance and row.result.gain >= _SHIFT
    ]


def said(result: Separability) -> str:
    """Return the figures in words."""
    return (
        f"balanced accuracy {result.balanced_accuracy:.2f} "
        f"[{result.low:.2f}, {result.high:.2f}], chance {result.chance:.2f}, "
        f"random labels at most {result.random_labels:.2f}"
    )
