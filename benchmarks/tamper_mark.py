"""How much a watermark raises the score of untouched copies, on calibration patients.

Run ``python -m benchmarks.tamper_mark --data DIR``. What is found here is taken off the logit of a
copy in which a mark is heard, so that a release is no more often called forged than another copy.
"""

import argparse
import json
import sys
from pathlib import Path

import cv2
import numpy as np

from medseal.datasets.material import training_files
from medseal.errors import MedsealError
from medseal.imaging import read
from medseal.protection.attacks.handling import HANDLING
from medseal.protection.attacks.levels import levels_of
from medseal.protection.tamper.canonical import CanonicalGrid
from medseal.protection.tamper.processed import Finding, frame_finding
from medseal.protection.tamper.reference.images import is_calibration
from medseal.protection.tamper.reference.inference import load
from medseal.protection.tamper.reference.record import enrol, frame_records, readout
from medseal.protection.tamper.reference.whole import part_of
from medseal.protection.watermark import embed

__all__ = ["pairs_of"]

_KEY, _PAYLOAD = bytes(range(32)), bytes(8)
_QUANTILES = (0.5, 0.9, 0.98, 0.99, 0.997)
_PROCESSING = tuple(one for one in HANDLING if one.group != "lossless")


def pairs_of(path: Path, number: int, *, copies: int) -> list[tuple[float, float]]:
    """Return logits of copies of an image, handled alike: without a mark, and with one."""
    image = part_of(read(path), None)
    networks, shape = load(), (image.rows, image.columns)
    grid, robust = CanonicalGrid.of(1, *shape), enrol(image, _KEY)
    if grid is None or not robust:
        return []
    record = frame_records(robust, frames=1, grid=grid)[0]
    read_out = readout(_KEY, 0, grid=grid, networks=networks)
    marked = embed(image, _PAYLOAD, _KEY)
    rng = np.random.default_rng(number)
    found = []
    for _ in range(copies):
        handling = _PROCESSING[int(rng.integers(len(_PROCESSING)))]
        seed = int(rng.integers(2**32))
        plain, heard = (
            frame_finding(
                networks,
                levels_of(handling.apply(one, np.random.default_rng(seed)), frame=0),
                record,
                read_out,
                shape=shape,
            )
            for one in (image, marked)
        )
        if isinstance(plain, Finding) and isinstance(heard, Finding):
            found.append((plain.logit, heard.logit))
    return found


def main() -> None:
    """Write quantiles of the logits without and with a mark, as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--images", type=int, default=3, help="of each folder")
    parser.add_argument("--copies", type=int, default=8, help="of each image")
    chosen = parser.parse_args()
    cv2.setNumThreads(1)
    folders: dict[Path, list[Path]] = {}
    for item in training_files(chosen.data):
        if is_calibration(item):
            folders.setdefault(item.path.parent, []).append(item.path)
    pairs: list[tuple[float, float]] = []
    for number, path in enumerate(
        path for _, paths in sorted(folders.items()) for path in paths[: chosen.images]
    ):
        try:
            pairs += pairs_of(path, number, copies=chosen.copies)
        except MedsealError as error:
            sys.stderr.write(f"{path.name} is left out: {error}\n")
    values = np.quantile(np.array(pairs), _QUANTILES, axis=0).round(3).tolist()
    result = {"copies": len(pairs), "quantiles": list(_QUANTILES), "plain_and_marked": values}
    sys.stdout.write(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
