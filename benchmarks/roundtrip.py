"""Read, seal and open every image file: count what is readable and whether each value is kept."""

import secrets
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pydicom

from benchmarks.report import arguments, write_result
from medseal.errors import InputError, UnsupportedImageError
from medseal.imaging import (
    MedicalImage,
    WrittenFormat,
    encode,
    find_image_files,
    read,
    read_bytes,
    values_digest,
)
from medseal.pipeline.open import open_image
from medseal.pipeline.seal import seal
from medseal.pipeline.workspace import Workspace

QUICK_FILES = 40


@dataclass(slots=True, kw_only=True)
class Written:
    """What became of the readable images in one format."""

    equal: int = 0
    refused: int = 0
    different: list[str] = field(default_factory=list)


def packaged_files() -> list[Path]:
    """Return the image files inside the installed pydicom package."""
    return list(find_image_files([Path(pydicom.__file__).parent / "data"]))


def same(first: MedicalImage, second: MedicalImage) -> bool:
    """Return whether every stored value and the digest over them are equal."""
    is_float = first.stored_values.dtype.kind == "f"
    return values_digest(first) == values_digest(second) and np.array_equal(
        first.stored_values, second.stored_values, equal_nan=is_float
    )


def write_and_read(images: dict[Path, MedicalImage]) -> dict[str, Any]:
    """Write each image in each format and read it back."""
    result = {}
    for format_name in get_args(WrittenFormat):
        written = Written()
        for path, image in images.items():
            try:
                data = encode(image, format_name)
            except UnsupportedImageError:
                written.refused += 1
                continue
            if same(read_bytes(data, name=path.name), image):
                written.equal += 1
            else:
                written.different.append(path.name)
        result[format_name] = asdict(written)
    return result


def seal_and_open(files: Sequence[Path], images: dict[Path, MedicalImage]) -> dict[str, Any]:
    """Seal all files and open each sealed one: byte for byte, and by its stored values."""
    statuses: Counter[str] = Counter()
    same_bytes = same_values = 0
    different: list[str] = []
    with tempfile.TemporaryDirectory() as name:
        home = Path(name)
        with Workspace.create(home / "workspace", secrets.token_hex(8)) as workspace:
            for outcome in seal(workspace, files):
                statuses[outcome.status] += 1
                if outcome.status != "sealed" or outcome.image_id is None:
                    continue
                opened = home / "opened"
                open_image(workspace, outcome.image_id, opened)
                equal_bytes = opened.read_bytes() == outcome.file.read_bytes()
                equal_values = same(read(opened), images[outcome.file])
                same_bytes += equal_bytes
                same_values += equal_values
                if not (equal_bytes and equal_values):
                    different.append(outcome.file.name)
    return {
        "statuses": dict(statuses),
        "opened_with_equal_bytes": same_bytes,
        "opened_with_equal_values": same_values,
        "different": different,
        "different_count": len(different),
    }


def main(argv: Sequence[str] | None = None) -> None:
    """Run the measurement and write ``roundtrip.json``."""
    chosen = arguments(__doc__.splitlines()[0]).parse_args(argv)
    files = packaged_files()
    if chosen.data is not None:
        files += find_image_files([chosen.data])
    files = files[:QUICK_FILES] if chosen.quick else files
    images: dict[Path, MedicalImage] = {}
    unreadable: Counter[str] = Counter()
    for path in files:
        try:
            images[path] = read(path)
        except InputError as error:
            unreadable[type(error).__name__] += 1
    result = {
        "files": len(files),
        "readable": len(images),
        "unreadable": dict(unreadable),
        "written_and_read": write_and_read(images),
        "sealed_and_opened": seal_and_open(files, images),
    }
    write_result("roundtrip", result, chosen, sys_stdout=sys.stdout)


if __name__ == "__main__":
    main()
