"""Exact-payload rate, image quality and false positives of the watermark on real images.

Every image is marked once by the product and once by the textbook DCT method at the same peak
signal-to-noise ratio, then each copy is attacked and read. A copy counts as exact only if all 64
bits come back; the textbook method has no way to say that there is no mark. Images were drawn at
random from each folder; none was left out afterwards.
"""

import secrets
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, median
from typing import Any

import numpy as np

from benchmarks.report import arguments, write_result
from medseal.errors import InputError, WatermarkCapacityError
from medseal.imaging import MedicalImage, find_image_files, read, value_range
from medseal.metrics.image_quality import psnr, ssim
from medseal.metrics.watermark import bit_accuracy, wilson_interval
from medseal.protection.attacks import distortions
from medseal.protection.watermark import embed, extract
from medseal.protection.watermark.baselines import embed_pairs, extract_pairs

# Folders of the data and how many images are drawn from each.
FOLDERS = {
    "brain_mri": 10,
    "chest_xray": 8,
    "chest_xray_native": 4,
    "ct_lung": 8,
    "dicom": 20,
    "fundus_idrid": 6,
    "skin": 8,
    "ultrasound_breast": 8,
}
QUICK_IMAGES = 1
SEED = 20_240_501
LARGE_SIDE = 256
MIN_SIDE = 64
# Larger stacks and frames take their time without telling more.
MAX_FRAMES = 4
MAX_PIXELS = 2**22
# Share of places outside flat air below which an image counts as mostly empty.
EMPTY_SHARE = 0.3
PSNR_DB = 45.0
SIDES = (512, 2048)

Attack = Callable[[MedicalImage, np.random.Generator], MedicalImage]


def _cropped(image: MedicalImage, rng: np.random.Generator) -> MedicalImage:
    rows, columns = image.rows * 3 // 4, image.columns * 3 // 4
    top = int(rng.integers(0, image.rows - rows + 1))
    left = int(rng.integers(0, image.columns - columns + 1))
    return distortions.crop(image, top=top, left=left, rows=rows, columns=columns)


def _resized_and_back(image: MedicalImage, _: np.random.Generator) -> MedicalImage:
    small = distortions.resize(image, factor=0.5)
    return distortions.resize_to(small, rows=image.rows, columns=image.columns)


ATTACKS: dict[str, Attack] = {
    "none": lambda image, _: image,
    "JPEG 90": lambda image, _: distortions.jpeg(image, quality=90),
    "JPEG 70": lambda image, _: distortions.jpeg(image, quality=70),
    "JPEG 50": lambda image, _: distortions.jpeg(image, quality=50),
    "JPEG 30": lambda image, _: distortions.jpeg(image, quality=30),
    "noise 5": lambda image, rng: distortions.gaussian_noise(image, sigma=5, rng=rng),
    "noise 10": lambda image, rng: distortions.gaussian_noise(image, sigma=10, rng=rng),
    "blur 1": lambda image, _: distortions.blur(image, sigma=1),
    "median 3": lambda image, _: distortions.median(image, size=3),
    "resize 0.5 and back": _resized_and_back,
    "crop to 3/4, untouched inside": _cropped,
    "turned by 90 degrees": lambda image, _: distortions.quarter_turn(image, turns=1),
    "mirrored": lambda image, _: distortions.flip(image, axis="columns"),
    "brightness +20 %": lambda image, _: distortions.brightness(image, share=0.2),
    "contrast +20 %": lambda image, _: distortions.contrast(image, factor=1.2),
    "gamma 0.7": lambda image, _: distortions.gamma(image, exponent=0.7),
    "window to 8 bits": lambda image, _: distortions.window_to_8_bit(image, low=0.05, high=0.95),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Marked:
    """One image of the sample with both marks."""

    folder: str
    cover: MedicalImage
    payload: bytes
    product: MedicalImage
    textbook: MedicalImage
    embed_ms: float

    @property
    def size_class(self) -> str:
        """Large and textured, large and mostly empty, or small."""
        if min(self.cover.rows, self.cover.columns) < LARGE_SIDE:
            return "small"
        frame = self.cover.stored_values[0, :, :, 0].astype(np.float64)
        low, high = value_range(self.cover)
        step = (high - low) / 255
        uneven = np.abs(np.diff(np.clip(frame, low, high), axis=1)) > step
        return "large" if uneven.mean() >= EMPTY_SHARE else "large, mostly empty"


def sample(data: Path, *, quick: bool) -> Iterator[tuple[str, MedicalImage]]:
    """Yield drawn images with their folder."""
    rng = np.random.default_rng(SEED)
    for folder, wanted in FOLDERS.items():
        files = sorted(find_image_files([data / folder])) if (data / folder).is_dir() else []
        taken = 0
        for index in rng.permutation(len(files)):
            if taken == (QUICK_IMAGES if quick else wanted):
                break
            try:
                image = read(files[index])
            except InputError:
                continue
            sides = min(image.rows, image.columns) >= MIN_SIDE
            if not sides or image.frames > MAX_FRAMES or image.rows * image.columns > MAX_PIXELS:
                continue
            if image.photometric_interpretation.startswith("PALETTE"):
                continue
            taken += 1
            yield folder, image


def _quality(item: Marked, marked: MedicalImage) -> tuple[float, float]:
    low, high = value_range(item.cover)
    pairs = list(zip(item.cover.stored_values, marked.stored_values, strict=True))
    return (
        min(psnr(cover, copy, data_range=high - low) for cover, copy in pairs),
        min(ssim(cover, copy, data_range=high - low) for cover, copy in pairs),
    )


def _rate(hits: list[bool]) -> dict[str, float]:
    low, high = wilson_interval(sum(hits), len(hits))
    return {
        "images": len(hits),
        "exact_rate": round(fmean(hits), 4),
        "exact_rate_low": round(low, 4),
        "exact_rate_high": round(high, 4),
    }


def attack_table(items: list[Marked], key: bytes) -> dict[str, Any]:
    """Return exact rates and bit accuracy for each attack, by method and class of image."""
    rng = np.random.default_rng(SEED)
    table: dict[str, Any] = {}
    for name, attack in ATTACKS.items():
        hits: dict[str, list[bool]] = defaultdict(list)
        accuracy = []
        textbook = []
        for item in items:
            found = extract(attack(item.product, rng), key)
            if found.detected and found.payload != item.payload:
                raise RuntimeError("a wrong payload was returned")
            hits["all"].append(found.detected)
            hits[item.size_class].append(found.detected)
            accuracy.append(bit_accuracy(item.payload, found.bit_probabilities))
            textbook.append(extract_pairs(attack(item.textbook, rng), key) == item.payload)
        table[name] = {
            **{size: _rate(values) for size, values in sorted(hits.items())},
            "bit_accuracy": round(fmean(accuracy), 4),
            "textbook_dct": _rate(textbook),
        }
    return table


def mark_all(data: Path, key: bytes, *, quick: bool) -> tuple[list[Marked], dict[str, int]]:
    """Return the marked sample, and how many images of each folder could not carry a mark."""
    items, refused = [], {folder: 0 for folder in FOLDERS}
    for folder, image in sample(data, quick=quick):
        payload = secrets.token_bytes(8)
        start = time.perf_counter()
        try:
            product = embed(image, payload, key, psnr_db=PSNR_DB)
        except WatermarkCapacityError:
            refused[folder] += 1
            continue
        embed_ms = (time.perf_counter() - start) * 1000
        first = image.with_stored_values(image.stored_values[:1].copy())
        items.append(
            Marked(
                folder=folder,
                cover=image,
                payload=payload,
                product=product,
                textbook=embed_pairs(first, payload, key, psnr_db=PSNR_DB),
                embed_ms=embed_ms,
            )
        )
    return items, refused


def false_positives(items: list[Marked], key: bytes) -> dict[str, Any]:
    """Return how often a mark was seen where there is none, and the bound that is stated."""
    reports = [extract(item.cover, key) for item in items]
    reports += [extract(item.product, secrets.token_bytes(32)) for item in items]
    return {
        "trials": len(reports),
        "accepted": sum(report.detected for report in reports),
        "stated_bound": max(report.false_positive_rate for report in reports),
    }


def speed(key: bytes, sides: Sequence[int], rounds: int) -> dict[str, Any]:
    """Return times in milliseconds for generated noise of 12 bits in these sizes."""
    result = {}
    for side in sides:
        rng = np.random.default_rng(SEED)
        values = rng.normal(2048, 200, (1, side, side, 1)).clip(0, 4095).astype(np.uint16)
        cover = MedicalImage(
            stored_values=values,
            bits_stored=12,
            is_signed=False,
            photometric_interpretation="MONOCHROME2",
            source_format="png",
            decoder="generated",
        )
        marked = embed(cover, bytes(8), key)
        steps: dict[str, Callable[[], object]] = {
            "embed": lambda cover=cover: embed(cover, bytes(8), key),  # type: ignore[misc]
            "extract": lambda marked=marked: extract(marked, key),  # type: ignore[misc]
            "extract, nothing there": lambda cover=cover: extract(cover, key),  # type: ignore[misc]
        }
        for name, step in steps.items():
            times = []
            for _ in range(rounds):
                start = time.perf_counter()
                step()
                times.append((time.perf_counter() - start) * 1000)
            result[f"{name} {side}x{side}, ms"] = round(median(times), 1)
    return result


def main(argv: Sequence[str] | None = None) -> None:
    """Run the measurement and write ``watermark.json``."""
    chosen = arguments(__doc__.splitlines()[0]).parse_args(argv)
    if chosen.data is None:
        sys.exit("give the folder of images with --data DIR")
    key = secrets.token_bytes(32)
    items, refused = mark_all(chosen.data, key, quick=chosen.quick)
    if not items:
        sys.exit(f"{chosen.data}: none of {', '.join(FOLDERS)} holds an image that can be marked")
    quality = [_quality(item, item.product) for item in items]
    large = [pair for item, pair in zip(items, quality, strict=True) if item.size_class == "large"]
    result = {
        "images": len(items),
        "refused_as_too_flat": refused,
        "psnr_db_min": round(min(pair[0] for pair in quality), 3),
        "psnr_db_mean": round(fmean(pair[0] for pair in quality), 3),
        "ssim_min": round(min(pair[1] for pair in quality), 4),
        "ssim_mean": round(fmean(pair[1] for pair in quality), 4),
        "ssim_min_large": round(min((pair[1] for pair in large), default=float("nan")), 4),
        "false_positives": false_positives(items, key),
        "attacks": attack_table(items, key),
        "speed": speed(key, SIDES[:1] if chosen.quick else SIDES, 3 if chosen.quick else 15),
    }
    write_result("watermark", result, chosen, sys_stdout=sys.stdout)


if __name__ == "__main__":
    main()
