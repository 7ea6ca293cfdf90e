"""Images for the demo: a bounded choice from a folder, pydicom's own files, generated slices."""

import csv
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice, zip_longest
from pathlib import Path
from typing import TypeVar

import numpy as np
import pydicom

from medseal import weights
from medseal.datasets import mr_phantom
from medseal.datasets.brain_mri import NAME, read_brain_mri
from medseal.datasets.loader import Record
from medseal.datasets.manifest import MANIFEST_NAME
from medseal.errors import ConfigurationError, InputError
from medseal.imaging import MedicalImage, encode, find_image_files, read
from medseal.imaging.files import write_file
from medseal.pipeline.demo_record import Run, Source, SourceKind

__all__ = ["MAX_DICOM", "MAX_SLICES", "gather"]

MAX_DICOM = 12
MAX_SLICES = 24
# Instances that one study contributes, so that others have room.
_MAX_OF_STUDY = 4
# Unreadable files of a given folder that are shown failing.
_MAX_UNREADABLE = 2
# DICOM files and volumes that are looked at to choose from, and their size: some seconds.
_MAX_LOOKED_AT = 200
_MAX_LOOKED_AT_BYTES = 16 * 2**20
_MAX_FRAMES = 32
# A file below this was compressed until little was left to see.
_DETAILED_BYTES = 128 * 2**10
# Below, an image carries no watermark and shows nothing.
_MIN_SIDE = 64
_RASTER_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".tif", ".tiff"})

# Of pydicom's test files: MR, CT, NM, US, a segmentation, a study; varied in their encoding.
_PYDICOM_FILES = (
    "examples_overlay.dcm",
    "J2K_pixelrep_mismatch.dcm",
    "JPEG-lossy.dcm",
    "CT_small.dcm",
    "examples_ybr_color.dcm",
    "examples_rgb_color.dcm",
    "examples_palette.dcm",
    "MR_small_RLE.dcm",
    "liver_1frame.dcm",
    "dicomdirtests/98892001/CT5N/2062",
    "dicomdirtests/98892001/CT5N/2392",
    "dicomdirtests/98892001/CT5N/2693",
)
_GENERATED_SLICES = 12
_SEED = 20_260
_KEPT_SHARE = 0.6

_Item = TypeVar("_Item")


def gather(run: Run) -> str:
    """Choose and generate the images of a run, and say in a line which.

    Raises
    ------
    ConfigurationError
        The given folder is missing or holds no image.
    """
    run.folders.images.mkdir()
    if run.data is None:
        run.notes.append(
            "Images: test files inside the installed pydicom package and generated MR-like slices."
        )
        run.sources += _pydicom_files()
        run.sources += _generated_slices(run)
    else:
        run.sources += _from_folder(run, run.data)
    spare = encode(_phantom(0, lesion=False), "dicom")
    run.sources.append(_written(run, "to-erase.dcm", spare, kind="to-erase"))
    cut = spare[: int(len(spare) * _KEPT_SHARE)]
    run.sources.append(_written(run, "truncated.dcm", cut, kind="damaged"))
    counts = Counter(source.kind for source in run.sources)
    return (
        f"DICOM files or volumes {counts['dicom']}, slices {counts['slice']}, "
        f"to be erased {counts['to-erase']}, unreadable {counts['damaged']}"
    )


def _pydicom_files() -> list[Source]:
    folder = Path(pydicom.__file__).parent / "data" / "test_files"
    return [
        Source(file=folder / name, name=f"pydicom/{name}", kind="dicom")
        for name in _PYDICOM_FILES
        if (folder / name).is_file()
    ]


# --- Generated images -------------------------------------------------------------------------


def _phantom(number: int, *, lesion: bool) -> MedicalImage:
    image = mr_phantom(generator=np.random.default_rng([_SEED, number]), lesion=lesion)
    # It says DICOM but has no data set; as a raster image it can be written in every format.
    return image.with_stored_values(image.stored_values, source_format="png")


def unsealed_picture() -> MedicalImage:
    """Return a generated slice that no run seals."""
    return _phantom(_GENERATED_SLICES + 1, lesion=True)


def _written(run: Run, name: str, data: bytes, *, kind: SourceKind) -> Source:
    path = run.folders.images / name
    write_file(data, path)
    return Source(file=path, name=f"generated/{name}", kind=kind)


def _generated_slices(run: Run) -> list[Source]:
    sources = []
    for number in range(1, _GENERATED_SLICES + 1):
        lesion = number % 2 == 1
        name = f"slice-{number:02}{'-with-mass' if lesion else ''}.png"
        data = encode(_phantom(number, lesion=lesion), "png")
        sources.append(_written(run, name, data, kind="slice"))
    return sources


# --- A given folder ---------------------------------------------------------------------------


def _from_folder(run: Run, data: Path) -> list[Source]:
    """Return the images of a folder; what it lacks for the story is generated."""
    if not data.is_dir():
        raise ConfigurationError(f"{data}: no such folder; give a folder of images with --data")
    own = run.folders.output.resolve()
    files = [file for file in find_image_files([data]) if own not in file.resolve().parents]
    if not files:
        raise ConfigurationError(
            f"{data}: no image below it; leave --data out to use generated ones"
        )
    raster = [file for file in files if file.suffix.lower() in _RASTER_SUFFIXES]
    others = [file for file in files if file.suffix.lower() not in _RASTER_SUFFIXES]
    run.notes.append(f"Images: a choice of the {len(files)} image files in the given folder.")
    dicom = _choose_dicom(data, others)
    slices = _labelled_slices(run, data) or _unlabelled_slices(run, data, raster)
    if not any(source.kind == "dicom" for source in dicom):
        run.notes.append("The folder holds no readable DICOM file; a generated one stands in.")
        image = encode(_phantom(_GENERATED_SLICES + 2, lesion=True), "dicom")
        dicom.append(_written(run, "mr.dcm", image, kind="dicom"))
    if not any(source.kind == "slice" for source in slices):
        run.notes.append(
            "The folder holds no readable PNG, JPEG or TIFF; generated slices stand in."
        )
        slices += _generated_slices(run)
    return [*dicom, *slices]


def _source(data: Path, file: Path, *, kind: SourceKind, label: str | None = None) -> Source:
    return Source(file=file, name=file.relative_to(data).as_posix(), kind=kind, label=label)


def _spread(items: Sequence[_Item], count: int) -> list[_Item]:
    """Return at most `count` items, evenly spaced."""
    places = np.linspace(0, len(items) - 1, min(count, len(items))).round().astype(int)
    return [items[place] for place in places]


def _in_turn(groups: Iterable[Sequence[_Item]]) -> list[_Item]:
    """Return the first item of each group, then the second of each, and so on."""
    missing = object()
    rows = zip_longest(*groups, fillvalue=missing)
    return [item for row in rows for item in row if item is not missing]  # type: ignore[misc]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Candidate:
    """A readable DICOM file or volume."""

    file: Path
    kind: str
    study: str
    instance: str
    is_large: bool
    detail_bytes: int


def _candidate(file: Path) -> _Candidate | None:
    """Return what a file is, None if it cannot be read."""
    try:
        image = read(file)
    except InputError:
        return None
    return _Candidate(
        file=file,
        kind=image.modality or image.source_format,
        study=str(image.attributes.get("StudyInstanceUID") or file),
        instance=str(image.attributes.get("SOPInstanceUID") or file),
        is_large=min(image.rows, image.columns) >= _MIN_SIDE and image.frames <= _MAX_FRAMES,
        detail_bytes=min(file.stat().st_size, _DETAILED_BYTES),
    )


def _choose_dicom(data: Path, files: Sequence[Path]) -> list[Source]:
    """Return instances of one study, then as many kinds as there are, then files that fail."""
    small = (file for file in files if file.stat().st_size <= _MAX_LOOKED_AT_BYTES)
    looked_at = list(islice(small, _MAX_LOOKED_AT))
    found = {file: _candidate(file) for file in looked_at}
    good = [item for item in found.values() if item is not None]
    studies: dict[str, dict[str, _Candidate]] = defaultdict(dict)
    for item in good:
        if item.is_large:
            studies[item.study].setdefault(item.instance, item)
    largest = max(studies.values(), key=len, default={})
    study = list(largest.values())[:_MAX_OF_STUDY] if len(largest) > 1 else []
    kinds: dict[str, list[_Candidate]] = defaultdict(list)
    for item in sorted(good, key=lambda item: (not item.is_large, -item.detail_bytes)):
        if item not in study:
            kinds[item.kind].append(item)
    chosen = [*study, *_in_turn(kinds[kind] for kind in sorted(kinds))][:MAX_DICOM]
    failing = [file for file, item in found.items() if item is None][:_MAX_UNREADABLE]
    return [
        *(_source(data, item.file, kind="dicom") for item in chosen),
        *(_source(data, file, kind="damaged") for file in failing),
    ]


def _unlabelled_slices(run: Run, data: Path, files: Sequence[Path]) -> list[Source]:
    chosen = [(file, _candidate(file) is not None) for file in _spread(files, MAX_SLICES)]
    good = [_source(data, file, kind="slice") for file, is_good in chosen if is_good]
    failing = [_source(data, file, kind="damaged") for file, is_good in chosen if not is_good]
    if good:
        run.notes.append(
            "The slices carry no label that is known here. The model is for brain MRI and cannot "
            "tell that a picture shows something else."
        )
    return [*good, *failing[:_MAX_UNREADABLE]]


def _labelled_slices(run: Run, data: Path) -> list[Source]:
    """Return brain MRI of the test part of the split of the default model, all labels alike."""
    if not any((place / MANIFEST_NAME).is_file() for place in (data, data.parent)):
        return []
    try:
        dataset = read_brain_mri(data)
    except (InputError, OSError, UnicodeDecodeError, csv.Error):
        return []
    cards = [card for card in weights.models() if card.training.get("dataset") == NAME]
    card = next((card for card in cards if card.default), None)
    seed = card.training.get("split_seed") if card is not None else None
    split = dataset.split(seed=seed if isinstance(seed, int) else 0)
    held_out = card is not None and card.training.get("split_digest") == str(split.digest)
    run.notes.append(
        "The slices are from the test part of the split, which the model was not trained on."
        if held_out
        else "Whether the model was trained on some of these slices is not known."
    )
    labels: dict[str, list[Record]] = defaultdict(list)
    groups: set[str] = set()
    for record in dataset.select(split.names("test")):
        # One of each group: the others are near-duplicates.
        if record.group not in groups and (dataset.root / record.path).is_file():
            groups.add(record.group)
            labels[record.detail].append(record)
    share = -(-MAX_SLICES // max(len(labels), 1))
    chosen = _in_turn(_spread(labels[label], share) for label in sorted(labels))[:MAX_SLICES]
    return [
        Source(file=dataset.root / item.path, name=item.path, kind="slice", label=item.label)
        for item in chosen
    ]
