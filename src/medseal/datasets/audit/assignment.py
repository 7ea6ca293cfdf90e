"""To which part of the split each image belongs, even where that is wrong."""

from pathlib import Path, PurePosixPath

from medseal.datasets.generic import table_rows
from medseal.datasets.loader import Dataset
from medseal.datasets.split import PARTS, Part, Split, part_of
from medseal.errors import InputError

__all__ = ["assignment"]

_SEED = 1


def assignment(dataset: Dataset, split_file: Path | None) -> tuple[str, dict[str, Part]]:
    """Return where the split comes from, and the part of each path.

    Parameters
    ----------
    dataset
        Images.
    split_file
        A split file (JSON), or a table (CSV) with the columns path and split; None for the split
        that the data give in a column or by folders named train, val and test, or else for the
        one that is drawn by group.

    Raises
    ------
    InputError
        The file is damaged, names a part that is none, or names no image of the data set.
    """
    if split_file is not None:
        parts = _from_file(split_file)
        known = {record.path for record in dataset.records}
        if not known & set(parts):
            raise InputError(
                f"{split_file.name} names no image of {dataset.name}; paths are relative to "
                f"{dataset.root}"
            )
        return split_file.name, {path: part for path, part in parts.items() if path in known}
    given = {
        record.path: part_of(record.part) or _of_folders(record.path) for record in dataset.records
    }
    found = {path: part for path, part in given.items() if part is not None}
    if len(found) == len(given) and len(set(found.values())) > 1:
        return "given", found
    split = dataset.split(seed=_SEED)
    return "drawn", {name: part for part in PARTS for name in split.names(part)}


def _of_folders(path: str) -> Part | None:
    parts = [part_of(name) for name in PurePosixPath(path).parts[:-1]]
    return next((part for part in parts if part is not None), None)


def _from_file(path: Path) -> dict[str, Part]:
    if not path.is_file():
        raise InputError(f"{path}: no such file; give a split file or a table")
    if path.suffix.lower() != ".csv":
        split = Split.read(path)
        return {name: part for part in PARTS for name in split.names(part)}
    parts: dict[str, Part] = {}
    for row in table_rows(path, required=frozenset({"path", "split"})):
        part = part_of(row["split"])
        if part is None:
            raise InputError(
                f"{path}: {row['split']!r} is not train, validation or test; correct it"
            )
        parts[row["path"]] = part
    return parts
