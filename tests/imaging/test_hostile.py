"""Damaged files: only errors of medseal come out, and the process survives in silence."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from medseal.errors import InputError, MedsealError
from medseal.imaging import display_values, encode, read_with_digests, value_range
from tests.imaging.image_builders import PYDICOM_FILES, image

ROUNDS = 250
LONG_ROUNDS = 4000
MAX_CORPUS_BYTES = 40_000


def _corpus():
    rng = np.random.default_rng(0)
    grey = image(rng.integers(0, 4096, (1, 20, 24, 1)).astype(np.uint16), 12)
    colour = image(rng.integers(0, 256, (1, 20, 24, 3), np.uint8), 8, "RGB")
    files = [
        (path.name, path.read_bytes())
        for path in sorted(PYDICOM_FILES.glob("*.dcm"))
        if path.stat().st_size < MAX_CORPUS_BYTES
    ]
    for name in ("png", "tiff", "nifti", "nifti.gz", "dicom"):
        files.append((name, encode(grey, name)))
    return [*files, ("colour", encode(colour, "png")), ("colour", encode(colour, "tiff"))]


def _damaged(data, rng):
    damaged = bytearray(data)
    kind = rng.integers(4)
    if kind == 0:
        return bytes(damaged[: rng.integers(len(damaged))])
    if kind == 1:
        for _ in range(rng.integers(1, 20)):
            damaged[rng.integers(len(damaged))] ^= 1 << rng.integers(8)
    elif kind == 2:
        for _ in range(rng.integers(1, 8)):
            damaged[rng.integers(min(len(damaged), 2000))] = rng.choice([0, 1, 127, 128, 255])
    else:
        at, length = rng.integers(len(damaged)), rng.integers(1, 64)
        damaged[at : at + length] = b""
    return bytes(damaged)


def _look_at_everything(data):
    """Read, show and write; return whether it was an image."""
    try:
        made, _ = read_with_digests(data, name="x")
        display_values(made)
        low, high = value_range(made)
        assert low < high
        dict(made.attributes)
        encode(made, "dicom")
    except MedsealError as error:
        if isinstance(error, InputError) and "\n" not in str(error):
            return False
        raise
    return True


def main(rounds, seed):
    """Run in a process of its own: a crash of a codec would take the tests along."""
    corpus = _corpus()
    rng = np.random.default_rng(seed)
    outcomes = [
        _look_at_everything(_damaged(corpus[rng.integers(len(corpus))][1], rng))
        for _ in range(rounds)
    ]
    return sum(outcomes), rounds


def _run(rounds, seed):
    script = (
        "from tests.imaging.test_hostile import main; "
        f"good, all_ = main({rounds}, {seed}); assert 0 < good < all_"
    )
    return subprocess.run(  # noqa: S603  our own interpreter and script
        [sys.executable, "-W", "error", "-c", script],
        cwd=Path(__file__).parents[2],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )


def test_damaged_files():
    done = _run(ROUNDS, 1)
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stderr == "", "a library printed past the errors of medseal"


@pytest.mark.long
def test_many_damaged_files():
    for seed in range(2, 6):
        done = _run(LONG_ROUNDS // 4, seed)
        assert done.returncode == 0, done.stderr[-2000:]
