"""Which sub-collection an image comes from, as far as its file name shows it."""

import re
from pathlib import PurePosixPath

__all__ = ["collection_of", "source_of"]

# Pattern of the file name in lower case, and the sub-collection; the first that fits counts.
_COLLECTIONS = tuple(
    (re.compile(pattern), name)
    for pattern, name in (
        # Merged brain collections mark part and class: Tr-noTr_0010 is `noTr`.
        (r"^(?:tr|te)-(?P<name>(?:no|gl|me|pi)(?:tr)?)_\d+", ""),
        (r"^(?:y|n|no|yes)[ _]?\d+\.", "Br35H or Navoneel"),
        (r"^image ?\(\d+\)|^(?:g|m|p|gg|no)[ _]?\(\d+\)", "SARTAJ"),
        (r"^\d+_(?:left|right)\.jpeg$", "EyePACS"),
        (r"^\d+_(?:left|right)\.jpg$", "ODIR"),
        (r"^_\d+_\d+\.", "_N_N"),
        (r"^(?:cataract|glaucoma|ncl|retina)_\d+\.png$", "named png"),
        (r"idrid_\d+", "IDRiD"),
        (r"^[0-9a-f]{12}\.png$", "APTOS"),
        (r"^(?:test_|train_)?person\d+_(?:bacteria|virus)_\d+", "person"),
        (r"^(?:test_|train_)?(?:normal\d?-)?im-\d+", "IM"),
        (r"^\d{8}_\d{3}\.", "NIH"),
        (r"^isic_\d+_downsampled", "ISIC downsampled"),
        (r"^isic_\d+", "ISIC"),
        (r"^pat_\d+_\d+_\d+", "PAD-UFES-20"),
        (r"^imd?\d{3}\.", "PH2"),
        (r"^n[aegfhimlpbcd][ml]\d{3}", "Derm7pt"),
    )
)
# Folders that say to which part images belong, not where they come from.
_PART_FOLDERS = frozenset(
    {"train", "training", "test", "testing", "val", "valid", "validation", "images", "data"}
)


def collection_of(path: str) -> str:
    """Return the sub-collection that a file name shows; empty where it shows none.

    Parameters
    ----------
    path
        Relative, with forward slashes.
    """
    name = PurePosixPath(path).name
    for pattern, collection in _COLLECTIONS:
        found = pattern.search(name.lower())
        if found is not None:
            return collection or name[found.start("name") : found.end("name")]
    return ""


def source_of(parts: tuple[str, ...], *, otherwise: str) -> str:
    """Return the first folder above a class folder that names a source.

    Parameters
    ----------
    parts
        Folders from the root down to, without, the class folder.
    otherwise
        Returned if all of them only say train, test or the like.
    """
    named = [part for part in parts if part.lower() not in _PART_FOLDERS]
    return named[0] if named else otherwise
