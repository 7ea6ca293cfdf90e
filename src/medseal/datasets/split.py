"""One split for all data sets: by group, stratified by label, the same for the same seed."""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from medseal.digest import Digest, JsonValue, canonical_json, parse_canonical_json
from medseal.errors import ConfigurationError, InputError

__all__ = [
    "FORMAT",
    "MAX_SPLIT_BYTES",
    "PARTS",
    "Member",
    "Part",
    "Split",
    "given_split",
    "make_split",
    "part_of",
]

FORMAT = "medseal/split/v1"
MAX_SPLIT_BYTES = 64 * 2**20
Part = Literal["train", "validation", "test"]
PARTS: tuple[Part, ...] = get_args(Part)
_DEFAULT_PERCENT: Mapping[Part, int] = {"train": 80, "validation": 10, "test": 10}
_NO_VALIDATION_PERCENT: Mapping[Part, int] = {"train": 90, "validation": 10, "test": 0}


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Member:
    """One image of a data set, as far as the split needs to know it.

    Attributes
    ----------
    name
        Unique in the data set: the path relative to its root, with forward slashes.
    group
        Patient, lesion or cluster of near-duplicates; never crosses parts.
    stratum
        Label, or label and detail; its share is about the same in each part.
    sha256
        Of the file, in hexadecimal; empty where unknown.
    """

    name: str
    group: str
    stratum: str
    sha256: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """Which image belongs to training, validation and test.

    Attributes
    ----------
    seed
        What the order of the groups was drawn with.
    members
        Part to its members, sorted by name.

    Raises
    ------
    InputError
        A name stands twice, a group crosses parts, or members are not sorted.
    """

    seed: int
    members: Mapping[Part, tuple[Member, ...]]

    def __post_init__(self) -> None:
        home: dict[str, Part] = {}
        names: set[str] = set()
        for part in PARTS:
            if list(self.members[part]) != sorted(self.members[part]):
                raise InputError(f"the members of {part} are not sorted")
            for member in self.members[part]:
                if member.name in names:
                    raise InputError(f"{member.name} stands twice in the split")
                names.add(member.name)
                if home.setdefault(member.group, part) != part:
                    raise InputError(f"group {member.group} crosses {home[member.group]}/{part}")

    def names(self, part: Part) -> tuple[str, ...]:
        """Return the names of the images of one part, sorted."""
        return tuple(member.name for member in self.members[part])

    @property
    def counts(self) -> dict[str, int]:
        """Number of images of each part."""
        return {part: len(self.members[part]) for part in PARTS}

    @property
    def digest(self) -> Digest:
        """Digest of the canonical split file."""
        return Digest.of(FORMAT, self.to_bytes())

    def to_bytes(self) -> bytes:
        """Return the canonical split file."""
        parts: dict[str, JsonValue] = {
            part: [[m.name, m.group, m.stratum, m.sha256] for m in self.members[part]]
            for part in PARTS
        }
        return canonical_json({"format": FORMAT, "seed": self.seed, **parts})

    @classmethod
    def from_bytes(cls, data: bytes) -> "Split":
        """Return the split in a canonical split file.

        Raises
        ------
        InputError
            Too large, not canonical, of another version, or not a valid split.
        """
        if len(data) > MAX_SPLIT_BYTES:
            raise InputError(f"a split file has at most {MAX_SPLIT_BYTES} bytes")
        value = parse_canonical_json(data)
        if not isinstance(value, dict) or set(value) != {"format", "seed", *PARTS}:
            raise InputError("not a split file: wrong fields")
        seed = value["seed"]
        if value["format"] != FORMAT or type(seed) is not int:
            raise InputError(f"not a split file of {FORMAT}")
        members = {part: tuple(_member(row) for row in _rows(value[part])) for part in PARTS}
        return cls(seed=seed, members=members)

    def write(self, path: Path) -> None:
        """Write the canonical split file."""
        path.write_bytes(self.to_bytes())

    @classmethod
    def read(cls, path: Path) -> "Split":
        """Read a canonical split file; errors as `from_bytes`."""
        if path.stat().st_size > MAX_SPLIT_BYTES:
            raise InputError(f"{path.name}: a split file has at most {MAX_SPLIT_BYTES} bytes")
        return cls.from_bytes(path.read_bytes())


def _rows(value: JsonValue) -> list[JsonValue]:
    if not isinstance(value, list):
        raise InputError("a part of a split file is a list")
    return value


def _member(row: JsonValue) -> Member:
    match row:
        case [str(name), str(group), str(stratum), str(sha256)]:
            return Member(name=name, group=group, stratum=stratum, sha256=sha256)
        case _:
            raise InputError("a member in a split file is [name, group, stratum, sha256]")


def make_split(
    members: Sequence[Member], *, seed: int, percent: Mapping[Part, int] = _DEFAULT_PERCENT
) -> Split:
    """Return a grouped and stratified split.

    Groups are taken stratum by stratum in an order drawn from the seed; each goes to the part
    that is furthest below its share of that stratum. (The largest first would fill the shares
    more closely, but would put the largest clusters into the two small parts.)

    Parameters
    ----------
    members
        All images, in any order: the result does not depend on it.
    seed
        Draws the order of the groups.
    percent
        Share of each part; adds up to 100.

    Raises
    ------
    ConfigurationError
        The shares do not add up to 100.
    InputError
        A name stands twice.
    """
    if set(percent) != set(PARTS) or sum(percent.values()) != 100:  # noqa: PLR2004  # per cent
        raise ConfigurationError("the shares of train, validation and test must add up to 100")
    groups: dict[str, list[Member]] = defaultdict(list)
    for member in members:
        groups[member.group].append(member)
    strata: dict[str, list[str]] = defaultdict(list)
    for group, inside in groups.items():
        strata[_commonest(inside)].append(group)
    chosen: dict[Part, list[Member]] = {part: [] for part in PARTS}
    for stratum in sorted(strata):
        filled: dict[Part, int] = dict.fromkeys(PARTS, 0)
        for group in sorted(strata[stratum], key=lambda name: _draw(seed, name)):
            part = _emptiest(filled, percent)
            chosen[part].extend(groups[group])
            filled[part] += len(groups[group])
    return Split(seed=seed, members={part: tuple(sorted(chosen[part])) for part in PARTS})


# Spellings of the parts in tables and folder names.
_SPELLINGS: Mapping[str, Part] = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "dev"), "validation"),
    **dict.fromkeys(("test", "testing"), "test"),
}


def part_of(text: str) -> Part | None:
    """Return the part that a word such as ``val`` or ``Training`` means, or None."""
    return _SPELLINGS.get(text.strip().lower())


def given_split(members: Sequence[Member], parts: Sequence[str], *, seed: int) -> Split:
    """Return the split that the data themselves give.

    Parameters
    ----------
    members
        All images, in any order.
    parts
        Of each member, in any spelling of train, validation and test.
    seed
        Draws validation groups, a tenth of the training images, if no image is given to it.

    Raises
    ------
    InputError
        An image has no part or an unknown one, or a group stands in two parts.
    """
    chosen: dict[Part, list[Member]] = {part: [] for part in PARTS}
    home: dict[str, Part] = {}
    for member, text in zip(members, parts, strict=True):
        part = part_of(text)
        if part is None:
            raise InputError(
                f"{member.name}: the split says {text!r}, not train, validation or test; "
                "correct it, or leave the whole column out"
            )
        if home.setdefault(member.group, part) != part:
            raise InputError(
                f"{member.name}: its patient or group {member.group} is in {home[member.group]} "
                f"and in {part}; move it to one part, or leave the split out and let one be drawn"
            )
        chosen[part].append(member)
    if not chosen["validation"]:
        drawn = make_split(chosen["train"], seed=seed, percent=_NO_VALIDATION_PERCENT)
        chosen["train"] = list(drawn.members["train"])
        chosen["validation"] = list(drawn.members["validation"])
    return Split(seed=seed, members={part: tuple(sorted(chosen[part])) for part in PARTS})


def _emptiest(filled: Mapping[Part, int], percent: Mapping[Part, int]) -> Part:
    """Return the part that is least full against its share, the first of equals."""
    open_parts = [part for part in PARTS if percent[part] > 0]
    return min(open_parts, key=lambda part: filled[part] / percent[part])


def _commonest(members: Sequence[Member]) -> str:
    """Return the stratum of most images of a group, the first by name among equals."""
    counts = Counter(member.stratum for member in members)
    return min(counts, key=lambda stratum: (-counts[stratum], stratum))


def _draw(seed: int, group: str) -> bytes:
    """Return a pseudo-random rank that depends on nothing but seed and name."""
    return hashlib.sha256(f"{seed}/{group}".encode()).digest()
