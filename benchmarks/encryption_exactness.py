"""Whether the integer cipher returns every bit: random images and keys, every network and backend.

Each image is encrypted by each backend and decrypted by another one, in turn by every pair. A draw
is one image with one key; most images are small, of random shape, depth and content, and with
--data every twentieth is a piece of a real one. An interrupted run goes on where it stood. No
security claim rests on a learned method: confidentiality and integrity come from the sealed
package around it.
"""

import json
import os
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from functools import lru_cache, partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.report import arguments, write_result
from medseal.datasets.material import test_files
from medseal.errors import CipherError
from medseal.imaging import MedicalImage, read
from medseal.protection.encryption.cipher_image import NO_CLAIM
from medseal.protection.encryption.cnn import BACKBONES, integer
from medseal.protection.encryption.cnn.backends import available

NAME = "encryption_exactness"
DRAWS, QUICK_DRAWS = 10_000, 12
_CHUNK = 100
_REAL_EVERY = 20
_REAL_SIDE = 64
_REAL_FILES = 40
_SMALL_VALUES, _LARGE_VALUES, _LARGE_EVERY = 1500, 40_000, 50
_KINDS = ("u1", "i1", "u2", "i2")
_SAMPLES = (1, 1, 1, 3)
_CONTENTS = ("noise", "zeros", "highest", "ramp", "sparse")

Values = NDArray[Any]


def _content(kind: str, shape: tuple[int, ...], dtype: str, random: np.random.Generator) -> Values:
    limits = np.iinfo(dtype)
    count = int(np.prod(shape))
    if kind == "noise":
        return random.integers(limits.min, limits.max, shape, dtype, endpoint=True)
    if kind == "ramp":
        return np.arange(count).astype(dtype).reshape(shape)
    values = np.full(shape, limits.max if kind == "highest" else 0, dtype)
    if kind == "sparse":
        values.reshape(-1)[random.integers(0, count)] = limits.min
    return values


def _drawn(number: int, random: np.random.Generator) -> Values:
    """Return random stored values: mostly few, log-uniform in size."""
    most = _LARGE_VALUES if number % _LARGE_EVERY == 0 else _SMALL_VALUES
    count = float(np.exp(random.uniform(0, np.log(most))))
    rows = max(1, round(count ** random.uniform(0, 1)))
    frames = int(random.integers(1, 4))
    samples = int(random.choice(_SAMPLES))
    columns = max(1, round(count / (rows * frames * samples)))
    return _content(
        str(random.choice(_CONTENTS)),
        (frames, rows, columns, samples),
        str(random.choice(_KINDS)),
        random,
    )


@lru_cache(maxsize=_REAL_FILES)
def _read(path: Path) -> MedicalImage:
    return read(path)


def _piece(files: Sequence[Path], random: np.random.Generator) -> Values:
    """Return a piece of one frame of a real image."""
    values = _read(files[int(random.integers(len(files)))]).stored_values
    frame = int(random.integers(values.shape[0]))
    top, left = (int(random.integers(max(1, side - _REAL_SIDE))) for side in values.shape[1:3])
    return values[frame : frame + 1, top : top + _REAL_SIDE, left : left + _REAL_SIDE].copy()


def _image(values: Values) -> MedicalImage:
    return MedicalImage(
        stored_values=values,
        bits_stored=8 * values.dtype.itemsize,
        is_signed=values.dtype.kind == "i",
        photometric_interpretation="RGB" if values.shape[3] > 1 else "MONOCHROME2",
        source_format="png",
        decoder="drawn",
    )


def _outcome(image: MedicalImage, key: bytes, backbone: str, pair: tuple[str, str]) -> str:
    """Return ``exact``, ``differs`` or the name of the error."""
    cipher = integer.encrypt(image, key, backbone=backbone, backend=pair[0])
    try:
        plain = integer.decrypt(cipher, key, backend=pair[1])
    except CipherError as error:
        return type(error).__name__
    same = np.array_equal(plain.stored_values, image.stored_values)
    return "exact" if same and plain.stored_values.dtype == image.stored_values.dtype else "differs"


def draw(number: int, *, files: Sequence[Path], backends: Sequence[str]) -> Counter[str]:
    """Return how often which outcome came with the image and the key of one number."""
    random = np.random.default_rng(number)
    is_real = bool(files) and number % _REAL_EVERY == 1
    image = _image(_piece(files, random) if is_real else _drawn(number, random))
    key = random.bytes(32)
    found: Counter[str] = Counter(
        {"images": 1, "real_images": int(is_real), "values": image.stored_values.size}
    )
    for backbone in BACKBONES:
        for place, backend in enumerate(backends):
            # Over the numbers each backend meets each one, itself too.
            other = backends[(place + number) % len(backends)]
            outcome = _outcome(image, key, backbone, (backend, other))
            found[f"{backbone}/{backend}/{outcome}"] += 1
    return found


def _chunk(
    numbers: Sequence[int], *, files: Sequence[Path], backends: Sequence[str]
) -> dict[str, int]:
    total: Counter[str] = Counter()
    for number in numbers:
        total.update(draw(number, files=files, backends=backends))
    return dict(total)


def _readable(data: Path | None) -> list[Path]:
    """Return real images of 8 or 16 bits, evenly from the list, held out from all training."""
    if data is None:
        return []
    every = test_files(data)
    picked = [every[place] for place in np.linspace(0, len(every) - 1, 2 * _REAL_FILES).astype(int)]
    usable = [
        item.path
        for item in picked
        if item.path.is_file() and read(item.path).stored_values.dtype.str[1:] in _KINDS
    ]
    return usable[:_REAL_FILES]


def _chunks(draws: int) -> Iterator[range]:
    for start in range(0, draws, _CHUNK):
        yield range(start, min(start + _CHUNK, draws))


def _state_of(path: Path, setting: dict[str, Any]) -> dict[str, dict[str, int]]:
    """Return the chunks that an interrupted run with this setting has finished."""
    if not path.is_file():
        return {}
    state = json.loads(path.read_text())
    return dict(state["chunks"]) if state["setting"] == setting else {}


def measure(draws: int, *, files: Sequence[Path], workers: int, state_path: Path) -> dict[str, Any]:
    """Return the counts over all draws.

    Parameters
    ----------
    draws
        Number of images, each with a key.
    files
        Real images; may be empty.
    workers
        Processes; 1 for this one.
    state_path
        Where finished chunks are kept until the end.
    """
    backends = available()
    setting = {
        "golden": integer._GOLDEN,
        "backends": list(backends),
        "files": len(files),
    }
    done = _state_of(state_path, setting)
    missing = [chunk for chunk in _chunks(draws) if f"{chunk.start}-{chunk.stop}" not in done]
    run = partial(_chunk, files=files, backends=backends)
    start = time.perf_counter()
    with ExitStack() as stack:
        results: Iterable[dict[str, int]] = map(run, missing)
        if workers > 1:
            pool = ProcessPoolExecutor(workers, mp_context=get_context("spawn"))
            results = stack.enter_context(pool).map(run, missing)
        for chunk, counts in zip(missing, results, strict=True):
            done[f"{chunk.start}-{chunk.stop}"] = counts
            state_path.write_text(json.dumps({"setting": setting, "chunks": done}))
    total: Counter[str] = Counter()
    for chunk in _chunks(draws):
        total.update(done[f"{chunk.start}-{chunk.stop}"])
    state_path.unlink()
    return _summary(total, backends, seconds=time.perf_counter() - start)


def _summary(total: Counter[str], backends: Sequence[str], *, seconds: float) -> dict[str, Any]:
    table = {
        backbone: {
            backend: {
                parts[2]: count
                for name, count in total.items()
                if (parts := name.split("/"))[:2] == [backbone, backend]
            }
            for backend in backends
        }
        for backbone in BACKBONES
    }
    outcomes = [row for rows in table.values() for row in rows.values()]
    round_trips = sum(sum(row.values()) for row in outcomes)
    exact = sum(row.get("exact", 0) for row in outcomes)
    return {
        "no_claim": NO_CLAIM,
        "draws": total["images"],
        "real_images": total["real_images"],
        "stored_values": total["values"],
        "round_trips": round_trips,
        "exact": exact,
        "not_exact": round_trips - exact,
        "exact_share": exact / round_trips,
        "by_backbone_and_backend": table,
        "seconds_of_this_run": round(seconds, 1),
    }


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and write ``encryption_exactness.json``; return 1 if one bit differed."""
    parser = arguments(__doc__.splitlines()[0])
    parser.add_argument("--draws", type=int, help=f"images with a key each, default {DRAWS}")
    parser.add_argument("--workers", type=int, default=1, help="processes, default 1")
    chosen = parser.parse_args(argv)
    os.environ["OMP_NUM_THREADS"] = "1"
    draws = chosen.draws or (QUICK_DRAWS if chosen.quick else DRAWS)
    chosen.output.mkdir(parents=True, exist_ok=True)
    state_path = chosen.output / f"{NAME}.part.json"
    result = measure(
        draws, files=_readable(chosen.data), workers=chosen.workers, state_path=state_path
    )
    write_result(NAME, result, chosen, sys_stdout=sys.stdout)
    return int(result["not_exact"] > 0)


if __name__ == "__main__":
    raise SystemExit(main())
