"""A derived copy of a DICOM image: its own SOP instance UID, palette indices made colours."""

import uuid

import numpy as np
from pydicom.dataset import Dataset
from pydicom.uid import UID

from medseal.imaging.dicom import dataset_of, image_from_dataset
from medseal.imaging.image import MedicalImage
from medseal.imaging.palette import palette_colours

__all__ = ["derived_copy"]

_PALETTE = "PALETTE COLOR"
_PALETTE_KEYWORDS = tuple(
    f"{kind}{colour}PaletteColorLookupTable{part}"
    for colour in ("Red", "Green", "Blue", "Alpha")
    for kind, part in (("", "Descriptor"), ("", "Data"), ("Segmented", "Data"))
)


def derived_copy(image: MedicalImage, *, description: str) -> MedicalImage:
    """Return a copy that may have other stored values than the original instance.

    Two instances with different values must not share a SOP instance UID (PS3.3 C.12.1.1.1), and
    the first value of Image Type says that the values are derived (C.7.6.1.1.2). Palette indices
    become RGB, because neighbouring indices need not be similar colours. An image of another
    format is returned as it is.

    Parameters
    ----------
    image
        Any image.
    description
        Derivation Description (0008,2111), at most 1024 characters.

    Raises
    ------
    UnreadableImageError
        The palette is missing or damaged.
    """
    if image.source_format != "dicom":
        return image
    dataset = dataset_of(image)
    dataset.SOPInstanceUID = UID(f"2.25.{uuid.uuid4().int}")
    stated = dataset.get("ImageType") or ["", "PRIMARY"]
    types = [stated] if isinstance(stated, str) else list(stated)
    dataset.ImageType = ["DERIVED", *types[1:]]
    dataset.DerivationDescription = description
    values, bits, photometric = (
        image.stored_values,
        image.bits_stored,
        image.photometric_interpretation,
    )
    if photometric == _PALETTE:
        frames = [palette_colours(image, frame[..., 0]) for frame in values]
        values, bits, photometric = np.stack(frames), 8, "RGB"
        _drop_palette(dataset)
    return image_from_dataset(
        dataset,
        values,
        bits_stored=bits,
        photometric_interpretation=photometric,
        decoder=image.decoder,
        name="data set",
    )


def _drop_palette(dataset: Dataset) -> None:
    for keyword in _PALETTE_KEYWORDS:
        if keyword in dataset:
            del dataset[keyword]
