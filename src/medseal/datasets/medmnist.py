"""MedMNIST archives (.npz): images, labels and the official split in one file."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from medseal.datasets.grouping import without_copies
from medseal.datasets.loader import Dataset, Record
from medseal.datasets.split import Part
from medseal.errors import InputError
from medseal.imaging import MedicalImage

__all__ = ["MAX_ARCHIVE_BYTES", "find_archive", "read_archive", "read_medmnist"]

MAX_ARCHIVE_BYTES = 4 * 2**30
_KEYS: Mapping[Part, str] = {"train": "train", "validation": "val", "test": "test"}
_COLOUR_SAMPLES = 3
_DIMENSIONS = (3, 4)

Arrays = dict[Part, NDArray[np.uint8]]


def find_archive(folder: Path, *, word: str) -> Path:
    """Return the one archive in a folder whose name holds a word, or the file that was given.

    Raises
    ------
    InputError
        There is none, or several.
    """
    if folder.is_file():
        return folder
    found = sorted(path for path in folder.rglob("*.npz") if word in path.name.lower())
    if len(found) != 1:
        names = ", ".join(path.name for path in found) or "none"
        raise InputError(
            f"{folder}: one {word or 'MedMNIST'} .npz file is needed, found {names}; name the file"
        )
    return found[0]


def read_medmnist(path: Path, *, name: str, classes: tuple[str, ...] | None = None) -> Dataset:
    """Return the images of an archive with its own split.

    Parameters
    ----------
    path
        With the arrays ``train_images``, ``train_labels`` and the same for ``val`` and ``test``;
        images are uint8 of shape (n, rows, columns), (n, rows, columns, 3) or, for volumes,
        (n, frames, rows, columns); labels are one number an image.
    name
        Of the data set.
    classes
        In the order of their numbers; the numbers themselves when None.

    Returns
    -------
    Dataset
        Paths are ``test/00017.png`` and so on: part and place in the archive. An image that also
        stands in a part that is kept first (test, then training, then validation) is left out and
        counted in `Dataset.notes`; equal images of one part share a group.

    Raises
    ------
    InputError
        The file is too large or no such archive.
    """
    images, labels = _arrays(path)
    found = np.concatenate([labels[part] for part in _KEYS])
    if classes is None:
        classes = tuple(str(number) for number in range(int(found.max()) + 1))
    if found.min() < 0 or found.max() >= len(classes):
        raise InputError(f"{path.name}: labels are not the numbers of {', '.join(classes)}")
    records, notes = without_copies(_records(path.name, images, labels, classes))

    def open_image(record: Record) -> MedicalImage:
        part, place = _place(record.path)
        return _image(images[part][place])

    return Dataset(
        name=name,
        root=path,
        classes=classes,
        records=tuple(sorted(records, key=lambda record: record.path)),
        opener=open_image,
        notes=tuple(notes),
    )


def read_archive(folder: Path) -> Dataset:
    """Return any MedMNIST archive, given itself or by the folder that holds it alone."""
    return read_medmnist(find_archive(folder, word=""), name="medmnist")


def _arrays(path: Path) -> tuple[Arrays, dict[Part, NDArray[np.int64]]]:
    if path.stat().st_size > MAX_ARCHIVE_BYTES:
        raise InputError(f"{path.name}: an archive has at most {MAX_ARCHIVE_BYTES} bytes")
    images: Arrays = {}
    labels: dict[Part, NDArray[np.int64]] = {}
    try:
        with np.load(path, allow_pickle=False) as archive:
            for part, key in _KEYS.items():
                images[part] = archive[f"{key}_images"]
                given = archive[f"{key}_labels"]
                labels[part] = given.reshape(len(given), -1)[:, 0].astype(np.int64)
                if given.size != len(given):
                    raise InputError(f"{path.name}: several labels an image are not supported")
    except KeyError as error:
        raise InputError(f"{path.name}: no MedMNIST archive, it lacks {error.args[0]}") from error
    except (OSError, ValueError, BadZipFile, EOFError) as error:
        raise InputError(f"{path.name}: damaged or no .npz file; copy it again") from error
    for part, values in images.items():
        fits = values.ndim in _DIMENSIONS and len(values) == len(labels[part])
        if values.dtype != np.uint8 or not fits or values.size == 0:
            raise InputError(f"{path.name}: {part} images are not 8-bit or do not fit the labels")
    return images, labels


def _records(
    source: str, images: Arrays, labels: Mapping[Part, NDArray[np.int64]], classes: tuple[str, ...]
) -> list[Record]:
    records = []
    for part, stack in images.items():
        for place, (values, label) in enumerate(zip(stack, labels[part], strict=True)):
            digest = hashlib.sha256(np.ascontiguousarray(values).tobytes()).hexdigest()
            records.append(
                Record(
                    path=f"{part}/{place:06d}.png",
                    label=classes[label],
                    detail=classes[label],
                    group=f"image-{digest[:16]}",
                    source=source,
                    part=part,
                )
            )
    return records


def _place(path: str) -> tuple[Part, int]:
    parts: Mapping[str, Part] = {part: part for part in _KEYS}
    part, _, name = path.partition("/")
    return parts[part], int(name.removesuffix(".png"))


def _image(values: NDArray[np.uint8]) -> MedicalImage:
    """Return stored values as an image: a plane, a colour plane or a stack of frames."""
    if values.ndim == 2:  # noqa: PLR2004  # (rows, columns)
        stored = values[None, :, :, None]
    elif values.shape[2] == _COLOUR_SAMPLES:
        stored = values[None]
    else:
        stored = values[:, :, :, None]
    return MedicalImage(
        stored_values=stored,
        bits_stored=8,
        is_signed=False,
        photometric_interpretation="RGB" if stored.shape[3] == _COLOUR_SAMPLES else "MONOCHROME2",
        source_format="png",
        decoder=f"numpy {np.__version__}",
    )
