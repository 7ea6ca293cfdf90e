"""Derived copies: an identity of their own, colours for palette indices."""

from pathlib import Path

import numpy as np
import pydicom

from medseal.imaging import display_values, encode, read, read_bytes
from medseal.imaging.derive import derived_copy

FILES = Path(pydicom.__file__).parent / "data" / "test_files"


def test_a_derived_copy_has_an_instance_uid_of_its_own_and_says_so() -> None:
    original = read(FILES / "CT_small.dcm")
    copy = read_bytes(encode(derived_copy(original, description="marked"), "dicom"), name="copy")
    assert copy.attributes["SOPInstanceUID"] != original.attributes["SOPInstanceUID"]
    assert copy.attributes["SeriesInstanceUID"] == original.attributes["SeriesInstanceUID"]
    kinds = copy.attributes["ImageType"]
    assert isinstance(kinds, tuple)
    assert kinds[0] == "DERIVED"
    assert copy.attributes["DerivationDescription"] == "marked"
    np.testing.assert_array_equal(copy.stored_values, original.stored_values)


def test_palette_indices_become_the_colours_that_a_viewer_shows() -> None:
    original = read(FILES / "examples_palette.dcm")
    copy = read_bytes(encode(derived_copy(original, description="marked"), "dicom"), name="copy")
    assert (copy.photometric_interpretation, copy.samples) == ("RGB", 3)
    assert "RedPaletteColorLookupTableData" not in copy.attributes
    np.testing.assert_array_equal(display_values(copy), display_values(original))


def test_another_format_is_left_alone() -> None:
    tiff = read_bytes(encode(read(FILES / "CT_small.dcm"), "tiff"), name="copy")
    assert derived_copy(tiff, description="marked") is tiff
