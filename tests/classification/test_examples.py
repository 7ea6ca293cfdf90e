import numpy as np
import pytest

from medseal.classification.examples import Examples, check_classes, read_examples
from medseal.datasets import ct_phantom, read_dataset
from medseal.datasets.volumes import MAX_SLICES
from medseal.errors import ImageMismatchError, InputError
from medseal.imaging import display_values, encode
from medseal.imaging.preprocess import PreprocessConfig, standardise

CONFIG = PreprocessConfig(rows=16, columns=16)


@pytest.fixture
def volumes(tmp_path):
    for number, (label, frames) in enumerate((("no", 3), ("yes", MAX_SLICES + 8), ("no", 1))):
        image = ct_phantom(
            generator=np.random.default_rng(number), rows=64, columns=64, frames=frames
        )
        path = tmp_path / label / f"{number}.nii.gz"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(encode(image, "nifti"))
    return read_dataset("class-folders", tmp_path)


def test_slices_of_volumes_are_examples(volumes):
    examples = read_examples(volumes, volumes.records, config=CONFIG)
    assert examples.labels.tolist() == [0] * 4 + [1] * MAX_SLICES
    image = volumes.read(volumes.records[0])
    third = standardise(display_values(image, frame=2), config=CONFIG)
    assert np.array_equal(examples.images[2], third)
    assert examples.images.shape == (4 + MAX_SLICES, 16, 16)
    assert len(set(examples.groups[:3].tolist())) == 1


def test_no_record_and_missing_colour_are_refused(volumes):
    with pytest.raises(InputError, match="holds no image"):
        read_examples(volumes, [], config=CONFIG)
    colour = PreprocessConfig(rows=16, columns=16, colour=True, equalise_histogram=False)
    with pytest.raises(ImageMismatchError, match=r"no/0\.nii\.gz: "):
        read_examples(volumes, volumes.records, config=colour)


def test_missing_classes_are_named():
    examples = Examples(images=np.zeros((2, 4, 4), np.uint8), labels=np.zeros(2, np.int64))
    check_classes(examples, ["a"], part="train")
    with pytest.raises(InputError, match="no image of class b in the train part"):
        check_classes(examples, ["a", "b"], part="train")
