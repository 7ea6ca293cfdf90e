"""The digital form on held-out images: the pixels it needs, what it endures, how long it takes.

Each image is encoded for two qualities; each copy is damaged and decoded. It counts as exact only
if every stored value is equal; else the kind of refusal is counted. The factor is pixels of the
cipher image for each pixel, and for each stored value, of the plain one. Times are those of a
512 x 512 image at JPEG 70, the least of several, on one thread. An interrupted run goes on where it
stood. No security claim rests on a learned method: confidentiality and integrity come from the
sealed package around it.
"""

import hashlib
import json
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.encryption_images import spread
from benchmarks.report import arguments, write_result
from medseal.datasets.material import Material, test_files
from medseal.datasets.phantom import mr_phantom
from medseal.errors import CipherError, InputError, MedsealError
from medseal.imaging import MedicalImage, display_values, read
from medseal.protection.encryption.channel import decode, encode
from medseal.protection.encryption.cipher_image import NO_CLAIM

NAME = "encryption_channel"
IMAGES, QUICK_IMAGES = 60, 2
ROUNDS, QUICK_ROUNDS = 20, 2
QUALITIES = (70, 50)
_TIMED_SIDE, _TIMED_QUALITY = 512, 70
# Larger images take minutes to code and say the same.
MAX_VALUES = 2**21
_LARGEST = 255

Greys = NDArray[np.uint8]
Damage = Callable[[Greys, np.random.Generator], NDArray[Any]]


def _jpeg(quality: int) -> Damage:
    def apply(image: Greys, _: np.random.Generator) -> NDArray[Any]:
        data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
        return np.asarray(cv2.imdecode(data, cv2.IMREAD_GRAYSCALE))

    return apply


def _noise(percent: float) -> Damage:
    return lambda image, rng: image + rng.normal(0, percent / 100 * _LARGEST, image.shape)


def _salt_and_pepper(percent: float) -> Damage:
    def apply(image: Greys, rng: np.random.Generator) -> NDArray[Any]:
        hit = rng.random(image.shape) < percent / 100
        return np.where(hit, rng.choice([0, _LARGEST], image.shape), image)

    return apply


def _crop(percent: float, grey: int | None) -> Damage:
    """Return a rectangle filled with a grey, or with the mean."""

    def apply(image: Greys, rng: np.random.Generator) -> NDArray[Any]:
        kept = image.copy()
        rows, columns = (max(1, round(side * (percent / 100) ** 0.5)) for side in image.shape)
        top = int(rng.integers(image.shape[0] - rows + 1))
        left = int(rng.integers(image.shape[1] - columns + 1))
        kept[top : top + rows, left : left + columns] = (
            round(float(image.mean())) if grey is None else grey
        )
        return kept

    return apply


def _blur(image: Greys, _: np.random.Generator) -> NDArray[Any]:
    return np.asarray(cv2.GaussianBlur(image, (0, 0), 0.8))


DAMAGES: dict[str, Damage] = {
    "none": lambda image, _: image,
    **{f"JPEG {quality}": _jpeg(quality) for quality in range(95, 25, -5)},
    **{f"Gaussian {percent} %": _noise(percent) for percent in (1, 2, 5)},
    **{f"salt and pepper {percent} %": _salt_and_pepper(percent) for percent in (0.5, 1, 5)},
    **{
        f"crop {percent} % {word}": _crop(percent, grey)
        for percent in (5, 10, 20)
        for word, grey in (("black", 0), ("white", _LARGEST), ("mean", None))
    },
    "brightness +6": lambda image, _: image + 6.0,
    "contrast 0.85": lambda image, _: image * 0.85 + 15,
    "blur 0.8": _blur,
}


def _outcome(image: MedicalImage, key: bytes, values: NDArray[Any], cipher: Any) -> str:
    greys = np.clip(np.rint(values), 0, _LARGEST).astype(np.uint8)
    try:
        plain = decode(cipher.with_values(greys), key)
    except CipherError as error:
        return type(error).__name__
    return "exact" if np.array_equal(plain.stored_values, image.stored_values) else "differs"


def trial(image: MedicalImage, seed: int) -> list[dict[str, Any]]:
    """Return one record for each quality: size, and the outcome under each damage."""
    rng = np.random.default_rng(seed)
    key = rng.bytes(32)
    places = image.frames * image.rows * image.columns
    records = []
    for quality in QUALITIES:
        cipher = encode(image, key, quality=quality)
        sent = cipher.stored_values[0, :, :, 0]
        records.append(
            {
                "quality": quality,
                "bits": 8 * image.stored_values.dtype.itemsize,
                "samples": image.samples,
                "factor_by_pixel": sent.size / places,
                "factor_by_value": sent.size / image.stored_values.size,
                "outcomes": {
                    name: _outcome(image, key, change(sent, rng), cipher)
                    for name, change in DAMAGES.items()
                },
            }
        )
    return records


def _usable(files: Iterable[Material]) -> Iterable[tuple[Material, MedicalImage]]:
    for item in files:
        try:
            image = read(item.path)
        except MedsealError:
            continue
        values = image.stored_values
        is_whole = values.dtype.kind in "iu" and values.dtype.itemsize in (1, 2)
        if is_whole and values.size <= MAX_VALUES:
            yield item, image


def _records(files: Sequence[Material], count: int, state: Path) -> list[dict[str, Any]]:
    """Return the records of `count` images; those of an interrupted run are read."""
    known: dict[str, list[dict[str, Any]]] = {}
    if state.is_file():
        known = json.loads(state.read_text())
    found: list[dict[str, Any]] = []
    for place, (item, image) in zip(range(count), _usable(files), strict=False):
        name = hashlib.sha256(str(item.path).encode()).hexdigest()[:16]
        if name not in known:
            known[name] = [
                {"modality": item.modality, **record} for record in trial(image, seed=place)
            ]
            state.write_text(json.dumps(known))
            sys.stderr.write(f"{place + 1} of {count} images\n")
        found.extend(known[name])
    return found


def _spread_of(values: Sequence[float]) -> dict[str, float]:
    return {
        "least": round(min(values), 3),
        "median": round(float(np.median(values)), 3),
        "largest": round(max(values), 3),
    }


def summarised(records: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return by quality the factors, by modality and depth too, and the outcomes by damage."""
    found: dict[str, Any] = {}
    for quality in QUALITIES:
        rows = [record for record in records if record["quality"] == quality]
        kinds = sorted({f"{row['modality']} {row['bits']} bits" for row in rows})
        found[str(quality)] = {
            "images": len(rows),
            "factor_by_pixel": _spread_of([row["factor_by_pixel"] for row in rows]),
            "factor_by_value": _spread_of([row["factor_by_value"] for row in rows]),
            "kinds": {
                kind: {
                    "images": len(own),
                    "factor_by_pixel": _spread_of([row["factor_by_pixel"] for row in own]),
                    "factor_by_value": _spread_of([row["factor_by_value"] for row in own]),
                }
                for kind in kinds
                for own in [[r for r in rows if f"{r['modality']} {r['bits']} bits" == kind]]
            },
            "damages": {name: _shares([row["outcomes"][name] for row in rows]) for name in DAMAGES},
        }
    return found


def _shares(outcomes: Sequence[str]) -> dict[str, Any]:
    counts = Counter(outcomes)
    return {
        "images": len(outcomes),
        "exact_share": counts["exact"] / len(outcomes),
        "outcomes": dict(sorted(counts.items())),
    }


def _timed_image(files: Sequence[Material]) -> MedicalImage:
    """Return the first real image of the timed size and 8 bits, or else a phantom."""
    wanted = (1, _TIMED_SIDE, _TIMED_SIDE, 1)
    for _, image in _usable(files):
        if image.stored_values.shape == wanted and image.stored_values.dtype == np.uint8:
            return image
    phantom = mr_phantom(
        generator=np.random.default_rng(1), rows=_TIMED_SIDE, columns=_TIMED_SIDE, lesion=True
    )
    grey = np.asarray(display_values(phantom))
    values = grey if grey.ndim == len(("rows", "columns")) else grey[..., 0]
    return MedicalImage(
        stored_values=np.ascontiguousarray(values)[None, :, :, None],
        bits_stored=8,
        is_signed=False,
        photometric_interpretation="MONOCHROME2",
        source_format="png",
        decoder="phantom",
    )


def timed(image: MedicalImage, rounds: int) -> dict[str, float]:
    """Return the least times of encoding, and of decoding after JPEG 70, in milliseconds."""
    rng = np.random.default_rng(1)
    key = rng.bytes(32)
    cipher = encode(image, key)
    sent = cipher.stored_values[0, :, :, 0]
    back = cipher.with_values(np.asarray(_jpeg(_TIMED_QUALITY)(sent, rng), np.uint8))
    times: dict[str, list[float]] = {"encode_ms": [], "decode_ms": []}
    for _ in range(rounds):
        for name, action in (
            ("encode_ms", lambda: encode(image, key)),
            ("decode_ms", lambda: decode(back, key)),
        ):
            start = time.perf_counter()
            action()
            times[name].append(1000 * (time.perf_counter() - start))
    return {name: round(min(found), 1) for name, found in times.items()} | {
        "factor_by_pixel": round(sent.size / (image.rows * image.columns), 3)
    }


def main(command_line: Sequence[str] | None = None) -> None:
    """Run from the command line."""
    parser = arguments(str(__doc__).split("\n\n", maxsplit=1)[0])
    chosen = parser.parse_args(command_line)
    if chosen.data is None:
        raise InputError(f"{NAME} needs --data")
    cv2.setNumThreads(1)
    chosen.output.mkdir(parents=True, exist_ok=True)
    count = QUICK_IMAGES if chosen.quick else IMAGES
    state = chosen.output / f"{NAME}{'.quick' if chosen.quick else ''}.state.json"
    # More files than images: some are too large, or of another kind.
    files = spread(test_files(chosen.data), 4 * count)
    records = _records(files, count, state)
    result = {
        "no_claim": NO_CLAIM,
        "qualities": summarised(records),
        "times": timed(_timed_image(files), QUICK_ROUNDS if chosen.quick else ROUNDS),
    }
    write_result(NAME, result, chosen, sys_stdout=sys.stdout)
    state.unlink()


if __name__ == "__main__":
    main()
