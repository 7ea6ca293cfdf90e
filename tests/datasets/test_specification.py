import re

import pytest

from medseal.datasets.specification import DatasetSpec, spelled
from medseal.errors import ConfigurationError


def spec(**changes):
    settings = {
        "name": "x",
        "modality": "MRI brain",
        "classes": ("no", "yes"),
        "labels": {"Other Thing": None, "ill": "yes"},
        "patients": (re.compile(r"^(?P<patient>p\d+)_"), re.compile(r"-(?P<patient>q\d+)$")),
    }
    return DatasetSpec(**{**settings, **changes})


@pytest.mark.parametrize("text", ["No DR", " no_dr", "NO-DR", "no  dr "])
def test_spellings_are_folded(text):
    assert spelled(text) == "no_dr"


def test_labels_of_spellings():
    found = spec()
    assert found.label_of("ILL") == found.label_of("Yes") == "yes"
    assert found.knows("other-thing")
    assert found.label_of("other-thing") is None
    assert not found.knows("else")
    assert found.is_of(" mri BRAIN ")
    assert not found.is_of("MRI")


def test_patients_in_file_names():
    assert spec().patient_of("p12_3") == "p12"
    assert spec().patient_of("a-q7") == "q7"
    assert spec().patient_of("r12_3") is None


@pytest.mark.parametrize("labels", [{"ill": "maybe"}, {"yes": "no"}])
def test_labels_that_fit_no_class_are_refused(labels):
    with pytest.raises(ConfigurationError, match="x: labels and classes do not fit each other"):
        spec(labels=labels)
