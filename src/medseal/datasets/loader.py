"""A data set: labelled images below one folder, verified, split by group, restricted by source."""

import hashlib
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

from medseal.datasets.split import Member, Split, given_split, make_split
from medseal.errors import DigestMismatchError, InputError, UnreadableImageError
from medseal.imaging import MedicalImage, read_bytes

__all__ = ["Dataset", "Opener", "Record"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One labelled image.

    Attributes
    ----------
    path
        Relative to the root of the data set, with forward slashes.
    label, detail
        Class, and what it consists of; the detail equals the label where none is given.
    group
        Patient, lesion or cluster of near-duplicates.
    sha256
        Of the file, in hexadecimal; empty where unknown.
    source, licence
        As the manifest says; else the top folder, and empty.
    collection
        Sub-collection of the source that the file name shows; empty where it shows none.
    part
        ``train``, ``validation`` or ``test`` as the data say it; empty where they do not.
    """

    path: str
    label: str
    detail: str
    group: str
    sha256: str = ""
    source: str = ""
    licence: str = ""
    collection: str = ""
    part: str = ""

    @property
    def folder(self) -> str:
        """Top folder of the path; empty for a file directly in the root."""
        top, slash, _ = self.path.partition("/")
        return top if slash else ""

    def is_from(self, names: Collection[str]) -> bool:
        """Return whether source, top folder or sub-collection is among the names."""
        return any(name in names for name in (self.source, self.folder, self.collection) if name)


Opener = Callable[[Record], MedicalImage]


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """Labelled images below one folder.

    Attributes
    ----------
    name
        For example ``brain-mri``.
    root
        Folder that the paths are relative to.
    classes
        Labels in the order of their numbers.
    records
        Sorted by path.
    opener
        Gives the image of a record that is no file of its own; None for files.
    notes
        What was left out while reading, and why; a line each.

    Raises
    ------
    InputError
        No image, or a label that is no class.
    """

    name: str
    root: Path
    classes: tuple[str, ...]
    records: tuple[Record, ...]
    opener: Opener | None = field(default=None, compare=False, repr=False)
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.records:
            raise InputError(f"no image of {self.name} below {self.root}")
        unknown = {record.label for record in self.records} - set(self.classes)
        if unknown:
            raise InputError(f"{self.name}: unknown labels {', '.join(sorted(unknown))}")

    @property
    def sources(self) -> tuple[str, ...]:
        """Sources of the images, sorted."""
        return tuple(sorted({record.source for record in self.records}))

    def restrict(
        self, *, sources: Iterable[str] | None = None, without: Iterable[str] = ()
    ) -> "Dataset":
        """Return the data set with the images of some sources only.

        Parameters
        ----------
        sources
            What to keep: sources, top folders or sub-collections; None keeps all.
        without
            What to leave out, named in the same ways.

        Raises
        ------
        InputError
            A name fits no image, or no image is left.
        """
        kept = None if sources is None else frozenset(sources)
        dropped = frozenset(without)
        for name in sorted((kept or frozenset()) | dropped):
            if not any(record.is_from({name}) for record in self.records):
                known = sorted({r.folder for r in self.records if r.folder} | set(self.sources))
                raise InputError(f"{self.name} has no source {name!r}: it has {', '.join(known)}")
        records = tuple(
            record
            for record in self.records
            if (kept is None or record.is_from(kept)) and not record.is_from(dropped)
        )
        return replace(self, records=records)

    def split(self, *, seed: int) -> Split:
        """Return the split that the data give, else 80/10/10 by group.

        Parameters
        ----------
        seed
            Draws what the data do not give. Then the split is stratified by detail and by source.

        Raises
        ------
        InputError
            The data give a part to some images only, or a group to two parts.
        """
        several = len(self.sources) > 1
        members = [
            Member(
                name=r.path,
                group=r.group,
                stratum=f"{r.detail} of {r.source}" if several else r.detail,
                sha256=r.sha256,
            )
            for r in self.records
        ]
        parts = [record.part for record in self.records]
        return (
            given_split(members, parts, seed=seed) if any(parts) else make_split(members, seed=seed)
        )

    def select(self, names: Iterable[str]) -> tuple[Record, ...]:
        """Return the records with these paths, in that order; InputError if one is missing."""
        by_path = {record.path: record for record in self.records}
        chosen = tuple(by_path.get(name) for name in names)
        if None in chosen:
            raise InputError(f"{self.name}: the split names images that are not in the data set")
        return tuple(record for record in chosen if record is not None)

    def label_index(self, record: Record) -> int:
        """Return the number of the record's class."""
        return self.classes.index(record.label)

    def read(self, record: Record) -> MedicalImage:
        """Return the image of a record, in colour where it has colour.

        Raises
        ------
        DigestMismatchError
            The file is not the one that the manifest names.
        InputError
            The file is missing or not a supported image.
        """
        if self.opener is not None:
            return self.opener(record)
        path = self.root / record.path
        try:
            data = path.read_bytes()
        except OSError as error:
            raise UnreadableImageError(
                f"{record.path}: cannot be read below {self.root}"
            ) from error
        found = hashlib.sha256(data).hexdigest()
        if record.sha256 and found != record.sha256:
            raise DigestMismatchError(
                f"{record.path}: the file is not the one in the manifest",
                expected=record.sha256,
                actual=found,
            )
        return read_bytes(data, name=path.name)
