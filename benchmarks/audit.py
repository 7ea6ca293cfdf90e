"""What the audit finds in each data set: copies, leaks, and traces that give the label away.

Two generated sets stand beside the real ones: the label is a small lesion in both, and in one of
them a second camera takes the pictures with a lesion. The audit must name that one and stay
silent on the other.
"""

import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.report import arguments, write_result
from medseal.datasets import Dataset, read_dataset
from medseal.datasets.audit import Audit, audit
from medseal.datasets.audit.traces import TRACES
from medseal.errors import InputError, MedsealError

# Of several sources, the label is also read inside each.
SETS = (
    "fundus-dr",
    "skin",
    "chest-xray",
    "brain-mri",
    "breast-ultrasound",
    "ct-lung",
    "fundus",
    "pneumonia-mnist",
)
GENERATED = 240
QUICK_SHARE = 8
_SIDE = 64


def generated_picture(
    generator: np.random.Generator, *, lesion: bool, brightness: float
) -> NDArray[np.uint8]:
    """Return a smooth random picture with a small disc in a ring, the disc bright for a lesion."""
    field = cv2.resize(
        generator.normal(0, 1, (6, 6)), (_SIDE, _SIDE), interpolation=cv2.INTER_CUBIC
    )
    image = 110 + brightness + 22 * field + generator.normal(0, 4, (_SIDE, _SIDE))
    y, x = np.mgrid[:_SIDE, :_SIDE]
    row, column = generator.integers(_SIDE // 3, 2 * _SIDE // 3, 2)
    distance = (y - row) ** 2 + (x - column) ** 2
    sign = 1.0 if lesion else -1.0
    # Ring and disc have the same area, so that histogram and mean show nothing.
    image = image + sign * 18 * (distance < 20) - sign * 18 * ((distance >= 20) & (distance < 40))  # noqa: PLR2004  # radii
    picture: NDArray[np.uint8] = np.clip(image, 0, 255).astype(np.uint8)
    return picture


def write_generated(folder: Path, *, confounded: bool, count: int) -> None:
    """Write class folders of generated pictures, each lesion by a second camera if confounded."""
    generator = np.random.default_rng(7)
    for index in range(count):
        lesion = index % 2 == 1
        second = lesion and confounded
        picture = generated_picture(generator, lesion=lesion, brightness=30.0 * second)
        place = folder / ("lesion" if lesion else "normal")
        place.mkdir(parents=True, exist_ok=True)
        quality = 60 if second else 95
        cv2.imwrite(str(place / f"{index}.jpg"), picture, [cv2.IMWRITE_JPEG_QUALITY, quality])


def figures(done: Audit, seconds: float) -> dict[str, Any]:
    """Return what the result keeps of an audit."""
    read_from: dict[str, Any] = {}
    for row in done.traces:
        found = row.result
        if found is not None:
            read_from[f"{row.target} from {row.trace}"] = {
                "balanced_accuracy": {
                    "estimate": found.balanced_accuracy,
                    "low": found.low,
                    "high": found.high,
                },
                "chance": found.chance,
                "random_labels": found.random_labels,
            }
    return {
        "images": done.images,
        "groups": done.groups,
        "cpu_seconds": seconds,
        "exit_code": done.exit_code,
        "pairs_of_copies": dict(done.copy_counts),
        "pairs_across_groups": sum(not pair.same_group for pair in done.copies),
        "pairs_across_parts": sum(not pair.same_part for pair in done.copies),
        "flaws": dict(done.flaws),
        "read_from": read_from,
        "findings": [
            f"{finding.level}: {finding.text}"
            for finding in done.findings
            if finding.level != "note"
        ],
    }


def thinned(dataset: Dataset, share: int) -> Dataset:
    """Return the data set with every `share`-th group, in the order of their names."""
    groups = sorted({record.group for record in dataset.records})[::share]
    kept = frozenset(groups)
    records = tuple(record for record in dataset.records if record.group in kept)
    return replace(dataset, records=records)


def data_sets(data: Path | None, *, missing: list[str]) -> Iterator[tuple[str, Dataset]]:
    """Yield name and data set, those that are there; the names of others go to `missing`."""
    for name in SETS:
        try:
            if data is None:
                raise InputError("no --data")
            yield name, read_dataset(name, data)
        except MedsealError as error:
            missing.append(f"{name}: {error}")


def measured(dataset: Dataset) -> dict[str, Any]:
    """Return the figures of one data set."""
    start = time.process_time()
    done, _ = audit(dataset, progress=lambda _: None)
    return figures(done, time.process_time() - start)


def page_lines(result: Mapping[str, Any]) -> list[str]:
    """Return the tables of the results page: a row a data set, then what was found."""
    lines = [
        "Balanced accuracy with which the label is read from one trace alone, with a 95 % interval "
        "by group; chance is a half, for three and four classes a third and a quarter.\n",
        f"| data set | images | {' | '.join(TRACES)} | copies across groups | exit code |",
        "|---" * (4 + len(TRACES)) + "|",
    ]
    for name, found in result["data_sets"].items():
        cells = [_cell(found["read_from"].get(f"label from {trace}")) for trace in TRACES]
        counts = f"{found['pairs_across_groups']} | {found['exit_code']}"
        lines.append(f"| {name} | {found['images']} | {' | '.join(cells)} | {counts} |")
    lines.append("")
    for name, found in result["data_sets"].items():
        lines += [f"- {name}: {text}" for text in found["findings"]]
    return [*lines, ""]


def _cell(found: Mapping[str, Any] | None) -> str:
    if found is None:
        return "-"
    value = found["balanced_accuracy"]
    return f"{value['estimate']:.2f} [{value['low']:.2f}, {value['high']:.2f}]"


def main(argv: Sequence[str] | None = None) -> None:
    """Run the measurement and write ``audit.json``."""
    chosen = arguments(__doc__.splitlines()[0]).parse_args(argv)
    missing: list[str] = []
    result: dict[str, Any] = {}
    count = GENERATED // 4 if chosen.quick else GENERATED
    with tempfile.TemporaryDirectory() as place:
        for confounded in (False, True):
            name = "generated, two cameras" if confounded else "generated, one camera"
            folder = Path(place) / str(confounded)
            write_generated(folder, confounded=confounded, count=count)
            result[name] = measured(read_dataset("class-folders", folder))
    for name, dataset in data_sets(chosen.data, missing=missing):
        sys.stderr.write(f"{name}: {len(dataset.records)} images\n")
        result[name] = measured(thinned(dataset, QUICK_SHARE) if chosen.quick else dataset)
    write_result("audit", {"data_sets": result, "missing": missing}, chosen, sys_stdout=sys.stdout)


if __name__ == "__main__":
    main()
