"""What a named data set consists of: classes, modality, spellings of labels and folder names."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from medseal.errors import ConfigurationError

__all__ = ["DatasetSpec", "spelled"]

_SEPARATORS = re.compile(r"[\s\-]+")


def spelled(text: str) -> str:
    """Return a label or folder name in the one spelling that labels are looked up by."""
    return _SEPARATORS.sub("_", text.strip().lower())


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetSpec:
    """A task that images of one modality are labelled for, whoever collected them.

    Attributes
    ----------
    name
        As configurations write it, for example ``brain-mri``.
    modality
        Text in the column ``modality`` of a manifest; case does not matter.
    classes
        In the order of their numbers; of two, the second is the finding.
    labels
        Label or folder name, `spelled`, to class; None leaves such images out.
    left_out
        Top folders that are not read unless they are the folder that was given.
    patients
        Patterns of file names without suffix; what the group ``patient`` holds is the patient.
    skipped
        Pattern of file names without suffix that are no image to classify, such as masks.

    Raises
    ------
    ConfigurationError
        A spelling leads to no class, or a class has no spelling.
    """

    name: str
    modality: str
    classes: tuple[str, ...]
    labels: Mapping[str, str | None]
    left_out: frozenset[str] = frozenset()
    patients: tuple[re.Pattern[str], ...] = ()
    skipped: re.Pattern[str] | None = None
    _labels: Mapping[str, str | None] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        spellings = {spelled(name): name for name in self.classes}
        table = {**spellings, **{spelled(text): label for text, label in self.labels.items()}}
        if {label for label in table.values() if label is not None} != set(self.classes):
            raise ConfigurationError(f"{self.name}: labels and classes do not fit each other")
        object.__setattr__(self, "_labels", MappingProxyType(table))

    def is_of(self, modality: str) -> bool:
        """Return whether the text of a manifest means this modality."""
        return modality.strip().lower() == self.modality.lower()

    def knows(self, text: str) -> bool:
        """Return whether a label or folder name is one of the spellings."""
        return spelled(text) in self._labels

    def label_of(self, text: str) -> str | None:
        """Return the class of a label or folder name; None if such images are left out.

        Raises
        ------
        KeyError
            The text is no known spelling.
        """
        return self._labels[spelled(text)]

    def patient_of(self, stem: str) -> str | None:
        """Return the patient that a file name without suffix shows, or None."""
        for pattern in self.patients:
            found = pattern.search(stem)
            if found is not None:
                return found["patient"]
        return None
