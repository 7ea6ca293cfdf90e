"""Mark an image by a method, distort the copy, read it: one record for each condition."""

import hashlib
import json
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

from medseal.datasets.material import Material, test_files
from medseal.errors import InputError, MedsealError
from medseal.imaging import MedicalImage, display_values, read, value_range
from medseal.imaging.image import frozen
from medseal.metrics.image_quality import psnr, ssim
from medseal.metrics.watermark import bit_accuracy
from medseal.protection.attacks.conditions import EXTRA, STANDARD, Distortion
from medseal.protection.watermark import DEFAULT_PSNR_DB, PAYLOAD_BYTES, embed, extract
from medseal.protection.watermark.baselines import (
    BlockDct,
    Method,
    Reading,
    SpreadSpectrum,
    WaveletSvd,
    installed_peers,
)

__all__ = [
    "CONDITIONS",
    "LARGE_SIDE",
    "MAX_TRIAL_PIXELS",
    "UNSEEN",
    "Product",
    "Sample",
    "grey_copy",
    "key_of",
    "load_records",
    "methods",
    "one_frame",
    "payload_of",
    "quality",
    "run_unit",
    "sample",
    "trial",
]

LARGE_SIDE = 384
# Frames above this are left to the measurement of memory.
MAX_PIXELS = 2**21
MIN_SIDE = 128
# Images of false-positive trials: what counts is their number, not their size.
MAX_TRIAL_PIXELS = 2**19
_COLOUR_SAMPLES = 3
_EIGHT_BITS = 8
# Presence score of a message that was read, above what synchronisation alone reaches.
_CERTAIN = 100.0
_GREY = "one grey channel"
# Group of the conditions that nothing was trained on; they stay out of the means.
UNSEEN = "unseen"


def grey_copy(image: MedicalImage, _: np.random.Generator | None = None) -> MedicalImage:
    """Return what a viewer shows in shades of grey, 8 bits."""
    shown = display_values(image, frame=0)
    colour = shown.ndim == _COLOUR_SAMPLES
    grey = cv2.cvtColor(shown, cv2.COLOR_RGB2GRAY) if colour else shown
    return MedicalImage(
        stored_values=frozen(np.array(grey, np.uint8)[None, :, :, None]),
        bits_stored=_EIGHT_BITS,
        is_signed=False,
        photometric_interpretation="MONOCHROME2",
        source_format="png",
        decoder=image.decoder,
        modality=image.modality,
    )


CONDITIONS: tuple[Distortion, ...] = (
    *STANDARD,
    Distortion(name=_GREY, group="grey values", apply=grey_copy),
    *EXTRA,
)
# Conditions under which the presence score of unmarked images is taken too.
PRESENCE = frozenset(
    {
        "none",
        "JPEG 50",
        "blur 2",
        "crop 25 % of each side, resized back",
        "rotation 5, JPEG 70",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Product:
    """The product behind the interface of the baselines."""

    name: str = "medseal"
    payload_bytes: int = PAYLOAD_BYTES
    psnr_db: float = DEFAULT_PSNR_DB

    def embed(self, image: MedicalImage, payload: bytes, key: bytes) -> MedicalImage:
        """Return a marked copy."""
        return embed(image, payload, key, psnr_db=self.psnr_db)

    def extract(
        self,
        image: MedicalImage,
        key: bytes,
        *,
        shape: tuple[int, int] | None = None,  # noqa: ARG002  of the interface
    ) -> Reading:
        """Return what is read.

        The presence score is the strength of the synchronisation; a message whose MAC fits counts
        above any strength.
        """
        found = extract(image, key)
        return Reading(
            payload=found.payload,
            bit_probabilities=found.bit_probabilities,
            detected=found.detected,
            presence_score=_CERTAIN if found.detected else found.sync_strength,
        )


def methods(names: Sequence[str] | None = None) -> tuple[Method, ...]:
    """Return the product, the baselines and the installed peers, or those of them that are named.

    Raises
    ------
    InputError
        No method has such a name.
    """
    known: tuple[Method, ...] = (
        Product(),
        SpreadSpectrum(is_coded=True),
        SpreadSpectrum(),
        BlockDct(),
        WaveletSvd(),
        *installed_peers(),
    )
    if names is None:
        return known
    unknown = set(names) - {method.name for method in known}
    if unknown:
        listed = ", ".join(method.name for method in known)
        raise InputError(f"unknown method {', '.join(sorted(unknown))}; here are {listed}")
    return tuple(method for method in known if method.name in names)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """A test image.

    Attributes
    ----------
    name
        Path below the folder of the data.
    path
        Where it lies.
    modality, group
        As the manifest says.
    pixels
        Rows times columns.
    """

    name: str
    path: Path
    modality: str
    group: str
    pixels: int

    @property
    def folder(self) -> str:
        """Top folder of the data that it belongs to."""
        return self.name.partition("/")[0]


def one_frame(path: Path) -> MedicalImage:
    """Return the frame in the middle of a file.

    Raises
    ------
    InputError
        It cannot be read or cannot bear any mark.
    """
    image = read(path)
    if image.photometric_interpretation.startswith("PALETTE"):
        raise InputError("palette indices bear no mark")
    if min(image.rows, image.columns) < MIN_SIDE or image.rows * image.columns > MAX_PIXELS:
        raise InputError("too small or too large for the table")
    middle = image.stored_values[image.frames // 2][None]
    return image.with_stored_values(frozen(middle.copy()))


def _draw(text: str) -> bytes:
    return hashlib.sha256(f"watermark benchmark/{text}".encode()).digest()


def sample(data: Path, *, images: int, folders: Iterable[str] | None = None) -> list[Sample]:
    """Return test images: of each folder at most `images`, of each group one, in a fixed order."""
    wanted = None if folders is None else set(folders)
    by_folder: dict[str, list[Material]] = {}
    for item in test_files(data):
        folder = item.path.relative_to(data).parts[0]
        if wanted is None or folder in wanted:
            by_folder.setdefault(folder, []).append(item)
    result = []
    for folder in sorted(by_folder):
        taken: set[str] = set()
        for item in sorted(by_folder[folder], key=lambda item: _draw(item.path.name)):
            if len(taken) == images:
                break
            if item.group in taken:
                continue
            try:
                image = one_frame(item.path)
            except InputError:
                continue
            taken.add(item.group)
            result.append(
                Sample(
                    name=item.path.relative_to(data).as_posix(),
                    path=item.path,
                    modality=item.modality,
                    group=item.group,
                    pixels=image.rows * image.columns,
                )
            )
    return result


def key_of(name: str) -> bytes:
    """Return the key of an image."""
    return _draw(f"key/{name}")


def payload_of(name: str, size: int) -> bytes:
    """Return the payload of an image."""
    return _draw(f"payload/{name}")[:size]


def quality(cover: MedicalImage, marked: MedicalImage) -> tuple[float, float]:
    """Return peak signal-to-noise ratio and structural similarity over the value range.

    A copy in 8 bits of what a viewer shows is compared with that.
    """
    same = marked.stored_values.dtype == cover.stored_values.dtype
    if same and marked.stored_values.shape == cover.stored_values.shape:
        low, high = value_range(cover)
        pair = cover.stored_values[0], marked.stored_values[0]
        return psnr(*pair, data_range=high - low), ssim(*pair, data_range=high - low)
    shown = display_values(cover, frame=0)
    if shown.ndim < _COLOUR_SAMPLES:
        shown = np.repeat(shown[:, :, None], marked.samples, axis=2)
    pair = shown, marked.stored_values[0]
    return psnr(*pair, data_range=255), ssim(*pair, data_range=255)


@lru_cache(maxsize=1)
def _single_thread() -> None:
    cv2.setNumThreads(1)
    torch.set_num_threads(1)


def _generator(name: str, condition: str) -> np.random.Generator:
    """Return the same draws for every method."""
    return np.random.default_rng(np.frombuffer(_draw(f"{name}/{condition}")[:16], "<u4"))


def _reading(reading: Reading, payload: bytes) -> dict[str, Any]:
    return {
        "exact": reading.payload == payload,
        "wrong": bool(reading.detected) and reading.payload != payload,
        "bits": bit_accuracy(payload, reading.bit_probabilities),
        "score": reading.presence_score,
    }


def run_unit(item: Sample, method_name: str, conditions: Sequence[str]) -> list[dict[str, Any]]:
    """Return the records of one image and method: the mark itself, then each condition.

    A method that cannot mark the image gives one record with the reason.
    """
    _single_thread()
    (method,) = methods([method_name])
    cover = one_frame(item.path)
    key, payload = key_of(item.name), payload_of(item.name, method.payload_bytes)
    about = {
        "image": item.name,
        "modality": item.modality,
        "folder": item.folder,
        "is_large": max(cover.rows, cover.columns) >= LARGE_SIDE,
        "method": method.name,
    }
    start = time.perf_counter()
    try:
        marked = method.embed(cover, payload, key)
    except MedsealError as error:
        return [{**about, "kind": "refused", "reason": f"{type(error).__name__}: {error}"}]
    seconds = time.perf_counter() - start
    ratio, similarity = quality(cover, marked)
    cover_shape = (cover.rows, cover.columns)
    records: list[dict[str, Any]] = [
        {**about, "kind": "mark", "psnr_db": ratio, "ssim": similarity, "embed_seconds": seconds}
    ]
    for condition in CONDITIONS:
        if condition.name not in conditions:
            continue
        copy = condition.apply(marked, _generator(item.name, condition.name))
        start = time.perf_counter()
        reading = method.extract(copy, key, shape=cover_shape)
        seconds = time.perf_counter() - start
        unmarked = None
        if reading.presence_score is not None and condition.name in PRESENCE:
            # The unmarked image under the same distortion: what presence is told from.
            plain = condition.apply(cover, _generator(item.name, condition.name))
            unmarked = method.extract(plain, key, shape=cover_shape).presence_score
        records.append(
            {
                **about,
                "kind": "read",
                "condition": condition.name,
                **_reading(reading, payload),
                "unmarked_score": unmarked,
                "extract_seconds": seconds,
            }
        )
    return records


def trial(item: Sample, base: str, rounds: int) -> dict[str, tuple[int, int, float]]:
    """Return trials, marks seen and the stated bound, for no mark and for the wrong key.

    Parameters
    ----------
    item
        Image to read, unmarked and marked.
    base
        Fresh text of the run, so that no key was ever used before.
    rounds
        Trials of each kind.
    """
    _single_thread()
    cover = one_frame(item.path)
    copies = {"unmarked": cover}
    with suppress(InputError):
        copies["wrong_key"] = embed(cover, payload_of(item.name, PAYLOAD_BYTES), key_of(item.name))
    result = {}
    for kind, copy in copies.items():
        found = [extract(copy, _draw(f"{base}/{item.name}/{kind}/{i}")) for i in range(rounds)]
        hits = sum(one.detected for one in found)
        result[kind] = (rounds, hits, max(one.false_positive_rate for one in found))
    return result


def load_records(path: Path) -> list[dict[str, Any]]:
    """Return the records of an earlier run; a line that was cut off ends them."""
    records = []
    if path.is_file():
        for line in path.read_text().splitlines():
            try:
                records.append(json.loads(line))
            except json.JSONDecodeError:
                break
    return records
