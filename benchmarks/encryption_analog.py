"""What the analog cipher image restores after lossy channels, beside classical decoders.

Test images of every modality, one of each patient; the three networks, the linear estimate, masks
with classical repairs, AES-CTR, and JPEG of the plain image inside an AEAD. An interrupted run goes
on where it stood. PSNR is over 255 levels, for deeper images over the range of the image; an exact
image counts 100 dB in a mean. No security claim rests on a learned method: confidentiality and
integrity come from the sealed package around it.
"""

import json
import math
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.encryption_analog_rivals import JPEG_RIVAL, REPAIRS, RIVALS, jpeg_of_plain
from benchmarks.encryption_images import spread
from benchmarks.report import arguments, write_result
from medseal.datasets.material import Material, test_files
from medseal.errors import CipherIntegrityError, MedsealError
from medseal.imaging import MedicalImage, read
from medseal.metrics.image_quality import psnr, ssim
from medseal.metrics.intervals import bootstrap_by_group
from medseal.protection.encryption.cipher_image import NO_CLAIM
from medseal.protection.encryption.cnn import BACKBONES
from medseal.protection.encryption.cnn.analog import decrypt_with_report, encrypt

NAME = "encryption_analog"
IMAGES, QUICK_IMAGES = 36, 2
EXACT_DB = 100.0
_MOST_SIDE, _LEAST_SIDE = 512, 64
_TOLD_EVERY = 20
_LINEAR = "linear"
OURS = (*BACKBONES, _LINEAR)
DECODERS = (*OURS, *RIVALS, JPEG_RIVAL)
_SMALL_SIDE = 64
_MOST_BITS = 16
_BYTE_BITS = 8

Bytes = NDArray[np.uint8]
Values = NDArray[Any]
Change = Callable[[Bytes, np.random.Generator], Bytes]


def _jpeg(picture: Bytes, _: np.random.Generator, *, quality: int) -> Bytes:
    return jpeg_of_plain(picture, quality)


def _gaussian(picture: Bytes, rng: np.random.Generator, *, percent: int) -> Bytes:
    noisy = picture + rng.normal(0, 2.55 * percent, picture.shape)
    return np.asarray(np.clip(np.rint(noisy), 0, 255), np.uint8)


def _salt_and_pepper(picture: Bytes, rng: np.random.Generator, *, percent: int) -> Bytes:
    hit = rng.random(picture.shape) < percent / 100
    values = rng.integers(0, 2, picture.shape, dtype=np.uint8) * np.uint8(255)
    return np.where(hit, values, picture)


def _crop(picture: Bytes, rng: np.random.Generator, *, percent: int, fill: str) -> Bytes:
    """Return the picture without a rectangle of so much of its area, anywhere."""
    rows, columns = (round(side * math.sqrt(percent / 100)) for side in picture.shape)
    top = int(rng.integers(picture.shape[0] - rows + 1))
    left = int(rng.integers(picture.shape[1] - columns + 1))
    place = np.s_[top : top + rows, left : left + columns]
    cropped = picture.copy()
    if fill == "content":
        seed = rng.integers(0, 256, (8, 8), dtype=np.uint8)
        cropped[place] = cv2.resize(seed, (columns, rows), interpolation=cv2.INTER_CUBIC)
    else:
        cropped[place] = int(fill)
    return cropped


def _centre(picture: Bytes, _: np.random.Generator, *, percent: int) -> Bytes:
    """Return the picture with all but its middle black."""
    rows, columns = (round(side * math.sqrt(1 - percent / 100)) for side in picture.shape)
    top, left = (picture.shape[0] - rows) // 2, (picture.shape[1] - columns) // 2
    place = np.s_[top : top + rows, left : left + columns]
    cropped = np.zeros_like(picture)
    cropped[place] = picture[place]
    return cropped


CHANNELS: dict[str, Change] = {
    "none": lambda picture, _: picture,
    **{f"JPEG {q}": partial(_jpeg, quality=q) for q in (95, 90, 80, 70, 60, 50, 40, 30)},
    **{f"Gaussian {p} %": partial(_gaussian, percent=p) for p in (1, 2, 5)},
    **{f"salt and pepper {p} %": partial(_salt_and_pepper, percent=p) for p in (1, 5)},
    **{f"crop {p} %, black": partial(_crop, percent=p, fill="0") for p in (10, 25, 50)},
    "crop 25 %, white": partial(_crop, percent=25, fill="255"),
    "crop 25 %, other content": partial(_crop, percent=25, fill="content"),
    "crop 25 %, centre kept": partial(_centre, percent=25),
}


def _prepared(image: MedicalImage, most: int) -> MedicalImage | None:
    """Return the middle of the middle frame; None for what the analog variant does not take."""
    values = image.stored_values[image.frames // 2]
    if (
        values.dtype.kind not in "ui"
        or image.bits_stored > _MOST_BITS
        or min(values.shape[:2]) < _LEAST_SIDE
        or image.photometric_interpretation.startswith("PALETTE")
    ):
        return None
    for axis in (0, 1):
        start = max(values.shape[axis] - most, 0) // 2
        values = values.take(range(start, start + min(most, values.shape[axis])), axis)
    return replace(image, stored_values=np.ascontiguousarray(values)[None], attributes={})


def _range(image: MedicalImage) -> float:
    if image.bits_stored <= _BYTE_BITS:
        return 255.0
    values = image.stored_values.astype(np.int64)
    return float(max(values.max() - values.min(), 1))


def _scores(first: Values, second: Values, data_range: float) -> dict[str, float]:
    value = psnr(first, second, data_range=data_range)
    return {
        "psnr_db": EXACT_DB if math.isinf(value) else min(value, EXACT_DB),
        "ssim": ssim(first, second, data_range=data_range),
    }


def _stacked(image: MedicalImage) -> Bytes:
    """Return the planes below one another in 8 bits: what the rivals are given."""
    values = image.stored_values[0].astype(np.float64)
    if image.bits_stored > _BYTE_BITS:
        values = (values - values.min()) * (255 / max(values.max() - values.min(), 1))
    planes = np.rint(values).astype(np.uint8).transpose(2, 0, 1)
    return np.ascontiguousarray(planes).reshape(-1, image.columns)


def _ours(image: MedicalImage, decoder: str, key: bytes, seed: int) -> Iterator[dict[str, Any]]:
    """Yield the row of each channel for one of our decoders."""
    how = "linear" if decoder == _LINEAR else "network"
    cipher = encrypt(image, key, backbone=BACKBONES[0] if decoder == _LINEAR else decoder)
    picture = cipher.stored_values[0, :, :, 0]
    for channel, change in CHANNELS.items():
        damaged = change(picture.copy(), np.random.default_rng(seed))
        try:
            opened, report = decrypt_with_report(cipher.with_values(damaged), key, decoder=how)
        except CipherIntegrityError:
            yield {"channel": channel, "layer": "refused"}
            continue
        scores = _scores(image.stored_values[0], opened.stored_values[0], _range(image))
        yield {"channel": channel, "layer": report.layer, **scores}


def _theirs(image: MedicalImage, decoder: str, seed: int) -> Iterator[dict[str, Any]]:
    """Yield the row of each channel that a rival is for."""
    stack = _stacked(image)
    for channel, change in CHANNELS.items():
        if decoder == JPEG_RIVAL:
            if not channel.startswith("JPEG"):
                continue
            opened = jpeg_of_plain(stack, int(channel.split()[1]))
        elif channel.startswith(REPAIRS.get(decoder, ("",))):
            through = partial(_through, change, seed)
            opened = RIVALS[decoder](stack, through, seed)
        else:
            continue
        yield {"channel": channel, **_scores(stack, opened, 255.0)}


def _through(change: Change, seed: int, picture: Bytes) -> Bytes:
    return change(picture, np.random.default_rng(seed))


def _name(item: Material) -> str:
    return "/".join(item.path.parts[-2:])


def _rows_of(item: Material, number: int, side: int, decoder: str) -> list[dict[str, Any]]:
    """Return all rows of one image and decoder; one without figures where it cannot be used."""
    about: dict[str, Any] = {"file": _name(item), "group": item.group, "modality": item.modality}
    about |= {"side": side, "decoder": decoder}
    try:
        image = _prepared(read(item.path), side)
    except MedsealError:
        image = None
    if image is None:
        return [{**about, "channel": ""}]
    key = np.random.default_rng(number).bytes(32)
    if decoder in OURS:
        return [{**about, **row} for row in _ours(image, decoder, key, number)]
    return [{**about, **row} for row in _theirs(image, decoder, number)]


def rows(
    files: Sequence[Material], decoders: Sequence[str], path: Path, *, small: int
) -> list[dict[str, Any]]:
    """Return the rows of all images, the first few of them also cut to 64 x 64; kept in a file."""
    kept = [json.loads(line) for line in path.read_text().splitlines()] if path.is_file() else []
    done = {(row["file"], row["side"], row["decoder"]) for row in kept}
    tasks = [(item, _MOST_SIDE, decoder) for item in files for decoder in decoders]
    tasks += [(item, _SMALL_SIDE, decoder) for item in files[:small] for decoder in OURS]
    for number, (item, side, decoder) in enumerate(tasks):
        if decoder not in decoders or (_name(item), side, decoder) in done:
            continue
        found = _rows_of(item, files.index(item), side, decoder)
        kept += found
        with path.open("a") as file:
            file.write("".join(json.dumps(row) + "\n" for row in found))
        if number % _TOLD_EVERY == 0:
            sys.stderr.write(f"{number + 1} of {len(tasks)}\n")
    return [row for row in kept if row["channel"]]


def _summary(rows_: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the figures of one decoder on one channel; refused images count in no mean."""
    opened = [row for row in rows_ if "psnr_db" in row]
    layers = Counter(row["layer"] for row in rows_ if "layer" in row)
    found: dict[str, Any] = {"images": len(rows_), "layers": dict(sorted(layers.items()))}
    if not opened:
        return found
    values = np.array([row["psnr_db"] for row in opened])
    (interval,) = bootstrap_by_group(
        lambda weights: (weights @ values / weights.sum(1))[:, None],
        [row["group"] for row in opened],
        generator=np.random.default_rng(1),
    )
    return found | {
        "groups": len({row["group"] for row in opened}),
        "psnr_db": float(values.mean()),
        "psnr_db_low": interval.low,
        "psnr_db_high": interval.high,
        "least_psnr_db": float(values.min()),
        "ssim": float(np.mean([row["ssim"] for row in opened])),
        "least_ssim": float(np.min([row["ssim"] for row in opened])),
    }


def summaries(rows_: list[dict[str, Any]]) -> dict[str, Any]:
    """Return figures by channel and decoder, and by channel and modality for the first network.

    ``clinical`` leaves the DICOM files out, as many of them are test patterns, which are easy.
    """
    parts: dict[str, dict[str, dict[str, list[dict[str, Any]]]]] = {
        name: defaultdict(lambda: defaultdict(list))
        for name in ("clinical", "decoders", "modalities", "small")
    }
    for row in rows_:
        if row["side"] == _SMALL_SIDE:
            parts["small"][row["channel"]][row["decoder"]].append(row)
            continue
        parts["decoders"][row["channel"]][row["decoder"]].append(row)
        if not _is_dicom(row["modality"]):
            parts["clinical"][row["channel"]][row["decoder"]].append(row)
        if row["decoder"] == BACKBONES[0]:
            parts["modalities"][row["channel"]][row["modality"]].append(row)
    return {
        part: {
            channel: {name: _summary(group) for name, group in groups.items()}
            for channel, groups in channels.items()
        }
        for part, channels in parts.items()
    }


def _is_dicom(modality: str) -> bool:
    return modality.startswith("DICOM")


def _files(data: Path, count: int) -> list[Material]:
    """Return two thirds clinical images and one third DICOM files, by turns of modalities."""
    found = test_files(data)
    clinical = spread((item for item in found if not _is_dicom(item.modality)), -(-2 * count // 3))
    dicom = spread((item for item in found if _is_dicom(item.modality)), count - len(clinical))
    return clinical + dicom


def main(argv: Sequence[str] | None = None) -> None:
    """Measure on test images and write ``encryption_analog.json``."""
    parser = arguments(__doc__.splitlines()[0])
    parser.add_argument("--work", type=Path, help="folder for records; kept, to go on later")
    parser.add_argument("--images", type=int, help="how many images")
    parser.add_argument("--decoders", nargs="*", choices=DECODERS, default=DECODERS)
    chosen = parser.parse_args(argv)
    if chosen.data is None:
        parser.error("--data DIR is needed")
    count = chosen.images or (QUICK_IMAGES if chosen.quick else IMAGES)
    files = _files(chosen.data, count)
    with tempfile.TemporaryDirectory() as temporary:
        work = chosen.work or Path(temporary)
        work.mkdir(parents=True, exist_ok=True)
        found = rows(files, chosen.decoders, work / f"{NAME}.jsonl", small=count // 6)
    result = {"claim": NO_CLAIM, "images": len({row["file"] for row in found}), **summaries(found)}
    write_result(NAME, result, chosen, sys_stdout=sys.stdout)


if __name__ == "__main__":
    main()
