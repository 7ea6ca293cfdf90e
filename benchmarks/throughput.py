"""Images per second of each verb, as a ratio to a plain loop in the same run.

The plain loop is what anybody would write without this package: read the file, decode it, hash
the stored values, encrypt with AES-256-GCM, write, flush. Both sides take turns on parts of the
same images, so that a slow moment of the machine hits both.
"""

import hashlib
import os
import secrets
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from io import BytesIO
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import pydicom
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from benchmarks.report import arguments, write_result
from medseal.classification import load
from medseal.imaging import MedicalImage
from medseal.imaging.formats import write
from medseal.pipeline.classify import classify_image
from medseal.pipeline.open import open_image
from medseal.pipeline.release import ReleaseRequest, release
from medseal.pipeline.seal import seal
from medseal.pipeline.verify import verify
from medseal.pipeline.workspace import Workspace
from medseal.weights import default_for

IMAGES = 1000
QUICK_IMAGES = 100
TURNS = 10
# The slow verbs are measured on fewer images.
OTHER_VERB_SHARE = 20
ROWS = COLUMNS = 512


def make_images(folder: Path, count: int, *, seed: int = 1) -> list[Path]:
    """Write 16-bit 512x512 uncompressed MR-like DICOM files and return their paths."""
    generator = np.random.default_rng(seed)
    row, column = np.mgrid[-1:1:512j, -1:1:512j]
    anatomy = 20000 * np.exp(-3 * (row**2 + column**2)) * (1.2 + np.sin(14 * row * column))
    files = []
    for number in range(count):
        noise = generator.normal(0, 300, (ROWS, COLUMNS))
        values = np.clip(anatomy + noise + number, 0, 65535).astype(np.uint16)
        image = MedicalImage(
            stored_values=values[np.newaxis, :, :, np.newaxis],
            bits_stored=16,
            is_signed=False,
            photometric_interpretation="MONOCHROME2",
            source_format="png",
            decoder="generated",
            modality="MR",
        )
        path = folder / f"{number:04}.dcm"
        write(image, path)
        files.append(path)
    return files


def plain_loop(files: Sequence[Path], folder: Path, key: bytes) -> None:
    """Read, decode, hash, encrypt, write and flush; nothing else."""
    cipher = AESGCM(key)
    for file in files:
        data = file.read_bytes()
        values = pydicom.dcmread(BytesIO(data)).pixel_array
        digest = hashlib.sha256(values.tobytes()).digest()
        nonce = secrets.token_bytes(12)
        with (folder / f"{file.stem}.bin").open("wb") as output:
            output.write(nonce + cipher.encrypt(nonce, data, digest))
            output.flush()
            os.fsync(output.fileno())


def seconds(action: Callable[[], Any]) -> float:
    """Return how long `action` takes."""
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def measure_seal(files: Sequence[Path], workspace: Workspace, plain: Path) -> dict[str, Any]:
    """Return rates and the ratio of sealing to the plain loop, turn by turn."""
    key = secrets.token_bytes(32)
    size = max(1, len(files) // TURNS)
    ours, theirs = [], []
    for turn, start in enumerate(range(0, len(files), size)):
        part = files[start : start + size]

        def sealing(part: Sequence[Path] = part) -> None:
            outcomes = list(seal(workspace, part))
            if any(outcome.status != "sealed" for outcome in outcomes):
                raise RuntimeError("an image was not sealed")

        def plainly(part: Sequence[Path] = part) -> None:
            plain_loop(part, plain, key)

        # Which side goes first alternates.
        if turn % 2:
            theirs.append(seconds(plainly))
            ours.append(seconds(sealing))
        else:
            ours.append(seconds(sealing))
            theirs.append(seconds(plainly))
    return {
        "images": len(files),
        "seal_images_per_second": len(files) / sum(ours),
        "plain_images_per_second": len(files) / sum(theirs),
        "ratio_of_totals": sum(ours) / sum(theirs),
        "ratio_median_of_turns": median(a / b for a, b in zip(ours, theirs, strict=True)),
    }


def measure_others(
    workspace: Workspace, image_ids: Sequence[str], folder: Path, plain_seconds: float
) -> dict[str, Any]:
    """Return rates of the other verbs and their ratio to the plain loop's time for an image."""
    classifier = load(default_for("tumour"))
    releases: list[Path] = [folder / f"release-{number}.dcm" for number in range(len(image_ids))]

    def releasing() -> None:
        for image_id, path in zip(image_ids, releases, strict=True):
            release(workspace, ReleaseRequest(image_id=image_id, to="benchmark"), path)

    verbs: dict[str, Callable[[], Any]] = {
        "open": lambda: [open_image(workspace, i, folder / f"{i}.dcm") for i in image_ids],
        "release": releasing,
        "verify": lambda: [verify(path, workspace=workspace) for path in releases],
        "classify": lambda: [
            classify_image(workspace, i, classifier=classifier) for i in image_ids
        ],
    }
    result = {}
    for name, action in verbs.items():
        each = seconds(action) / len(image_ids)
        result[name] = {
            "images_per_second": 1 / each,
            "ratio_to_plain_loop": each / plain_seconds,
        }
    return result


def main(argv: Sequence[str] | None = None) -> None:
    """Run the measurement and write ``throughput.json``."""
    chosen = arguments(__doc__.splitlines()[0]).parse_args(argv)
    with tempfile.TemporaryDirectory() as name:
        home = Path(name)
        for folder in ("images", "plain", "output"):
            (home / folder).mkdir()
        files = make_images(home / "images", QUICK_IMAGES if chosen.quick else IMAGES)
        warm_up = make_images(home / "output", 2, seed=2)
        with Workspace.create(home / "workspace", secrets.token_hex(8)) as workspace:
            list(seal(workspace, warm_up))
            plain_loop(warm_up, home / "plain", secrets.token_bytes(32))
            sealing = measure_seal(files, workspace, home / "plain")
            records = workspace.catalogue.images()[: max(5, len(files) // OTHER_VERB_SHARE)]
            others = measure_others(
                workspace,
                [record.image_id for record in records],
                home / "output",
                1 / sealing["plain_images_per_second"],
            )
    write_result("throughput", {"seal": sealing} | others, chosen, sys_stdout=sys.stdout)


if __name__ == "__main__":
    main()
