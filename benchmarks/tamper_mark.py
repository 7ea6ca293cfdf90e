"""What a watermark adds to the comparison of its release's copies, on calibration patients.

Run ``python -m benchmarks.tamper_mark --data DIR --output FILE``. Releases are marked images with
a record of their own, as the pipeline keeps it. The weight of the mark in the verdict is fitted to
these copies.
"""

import argparse
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from medseal.datasets.material import training_files
from medseal.errors import MedsealError
from medseal.imaging import MedicalImage, read
from medseal.metrics.ranking import auroc
from medseal.protection.attacks.edit_draws import random_edit
from medseal.protection.attacks.handling import HANDLING, LOSSY_CHAINS
from medseal.protection.attacks.levels import change_levels, levels_of
from medseal.protection.tamper.canonical import CanonicalGrid
from medseal.protection.tamper.mark import MarkEvidence
from medseal.protection.tamper.processed import Finding, frame_finding
from medseal.protection.tamper.reference.images import is_calibration
from medseal.protection.tamper.reference.inference import load
from medseal.protection.tamper.reference.record import enrol, frame_records, readout
from medseal.protection.tamper.reference.whole import part_of
from medseal.protection.watermark import embed, extract

__all__ = ["Release", "Trial", "main", "summary"]

_KEY, _PAYLOAD = bytes(range(32)), bytes(8)
_QUANTILES = (0.5, 0.9, 0.98, 0.99, 0.997)
_PROCESSING = tuple(one for one in HANDLING if one.group != "lossless")
_MOST, _WEIGHTS = 4.0, (0.0, 0.1, 0.2, 0.3, 0.5, 1.0)
_FALSE_ALARMS = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One copy: whether it is marked and forged, its logit, what its mark says (0 if unheard)."""

    marked: bool
    forged: bool
    logit: float
    absence: float


class Release:
    """A marked image, or the same without a mark, and its record."""

    def __init__(self, image: MedicalImage, *, marked: bool) -> None:
        self.marked = marked
        self.image = embed(image, _PAYLOAD, _KEY) if marked else image
        self._shape = (image.rows, image.columns)
        self._networks = load()
        grid, robust = CanonicalGrid.of(1, *self._shape), enrol(self.image, _KEY)
        self._record = frame_records(robust, frames=1, grid=grid)[0] if grid and robust else None
        if grid:
            self._read = readout(_KEY, 0, grid=grid, networks=self._networks)

    def trial(self, copy: MedicalImage, *, forged: bool) -> Trial | None:
        """Return what is found of a copy; None if it cannot be compared."""
        if self._record is None:
            return None
        levels = levels_of(copy, frame=0)
        found = frame_finding(self._networks, levels, self._record, self._read, shape=self._shape)
        if not isinstance(found, Finding):
            return None
        absence = 0.0
        if self.marked and (heard := extract(copy, _KEY).evidence) is not None:
            mark = MarkEvidence(cells=heard.cells, placement=heard.placement)
            absence = float(np.clip(mark.absence(found.score_map), -_MOST, _MOST))
        return Trial(marked=self.marked, forged=forged, logit=found.logit, absence=absence)


def trials_of(image: MedicalImage, number: int, *, copies: int) -> list[Trial]:
    """Return trials of an image: untouched without and with a mark, and forged with one."""
    plain, marked = Release(image, marked=False), Release(image, marked=True)
    rng = np.random.default_rng(number)
    found: list[Trial | None] = []
    for _ in range(copies):
        handling = _PROCESSING[int(rng.integers(len(_PROCESSING)))]
        seed = int(rng.integers(2**32))
        for one in (plain, marked):
            copy = handling.apply(one.image, np.random.default_rng(seed))
            found.append(one.trial(copy, forged=False))
        forged, mask = _forged(marked.image, rng)
        chain = LOSSY_CHAINS[int(rng.integers(len(LOSSY_CHAINS)))]
        found.append(marked.trial(chain.apply_with_mask(forged, mask, rng)[0], forged=True))
    return [one for one in found if one is not None]


def _forged(
    image: MedicalImage, rng: np.random.Generator
) -> tuple[MedicalImage, NDArray[np.bool_]]:
    levels = levels_of(image, frame=0)
    edited = random_edit(rng, levels, donor=np.ascontiguousarray(np.rot90(levels)))
    return change_levels(image, lambda _: edited.levels), edited.mask


def summary(trials: list[Trial]) -> dict[str, Any]:
    """Return quantiles of untouched copies, and what each weight of the mark makes of forged ones.

    Raises
    ------
    ValueError
        There are no forged or no untouched marked copies.
    """
    untouched = [one for one in trials if not one.forged]
    marked = [one for one in trials if one.marked]
    labels = np.array([one.forged for one in marked])
    features = np.array([[one.logit, one.absence] for one in marked])
    fitted = LogisticRegression(class_weight="balanced").fit(features, labels)
    rows = []
    for weight in _WEIGHTS:
        scores = features @ np.array([1.0, weight])
        limit = np.quantile(scores[~labels], 1 - _FALSE_ALARMS)
        rows.append(
            {
                "weight": weight,
                "area": round(auroc(labels, scores), 4),
                "caught_at_2_percent": round(float((scores[labels] > limit).mean()), 4),
            }
        )
    return {
        "copies": len(trials),
        "quantiles": list(_QUANTILES),
        "untouched_logits": {
            name: np.quantile(
                [one.logit for one in untouched if one.marked == is_marked], _QUANTILES
            )
            .round(3)
            .tolist()
            for name, is_marked in (("plain", False), ("marked", True))
        },
        "weights": rows,
        "fitted_weight": round(float(fitted.coef_[0, 1] / fitted.coef_[0, 0]), 3),
    }


def main() -> None:
    """Write what the mark adds, as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--images", type=int, default=2, help="of each folder")
    parser.add_argument("--copies", type=int, default=6, help="of each kind and image")
    chosen = parser.parse_args()
    cv2.setNumThreads(1)
    folders: dict[Path, list[Path]] = {}
    for item in training_files(chosen.data):
        if is_calibration(item):
            folders.setdefault(item.path.parent, []).append(item.path)
    paths = [path for _, found in sorted(folders.items()) for path in found[: chosen.images]]
    trials: list[Trial] = []
    for number, path in enumerate(paths):
        try:
            trials += trials_of(part_of(read(path), None), number, copies=chosen.copies)
        except MedsealError as error:
            sys.stderr.write(f"{path.name} is left out: {error}\n")
        sys.stderr.write(f"{number + 1} of {len(paths)} images, {len(trials)} copies\n")
    chosen.output.write_text(json.dumps(summary(trials), indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
