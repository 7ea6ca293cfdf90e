"""Data sets by the name that a configuration uses."""

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

from medseal.datasets import brain_mri
from medseal.datasets.loader import Dataset
from medseal.errors import ConfigurationError

__all__ = ["read_dataset"]

_READERS: Mapping[str, Callable[[Path], Dataset]] = MappingProxyType(
    {brain_mri.NAME: brain_mri.read_brain_mri}
)


def read_dataset(name: str, folder: Path) -> Dataset:
    """Return the data set of that name in a folder.

    Raises
    ------
    ConfigurationError
        No data set has this name.
    InputError
        The folder does not hold it.
    """
    if name not in _READERS:
        raise ConfigurationError(f"unknown data set {name!r}: known are {', '.join(_READERS)}")
    return _READERS[name](folder)
