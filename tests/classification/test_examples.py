import numpy as np
import pytest

from medseal.classification.examples import Examples, check_classes, read_examples
from medseal.datasets import read_dataset
from medseal.errors import ImageMismatchError, InputError
from medseal.imaging.preprocess import PreprocessConfig

GREY = np.zeros((3, 8, 8), np.uint8)
LABELS = np.zeros(3, np.int64)


def test_grey_and_colour():
    assert Examples(images=GREY.copy(), labels=LABELS.copy()).channels == 1
    colour = Examples(images=np.zeros((3, 8, 8, 3), np.uint8), labels=LABELS.copy())
    assert colour.channels == 3
    assert colour.sources.tolist() == [0, 0, 0]
    assert not colour.images.flags.writeable


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"images": GREY.astype(np.float32)}, "8-bit images"),
        ({"images": np.zeros((3, 8, 8, 4), np.uint8)}, "8-bit images"),
        ({"labels": LABELS[:2]}, "one int64 label"),
        ({"labels": LABELS.astype(np.int32)}, "one int64 label"),
        ({"sources": np.zeros(2, np.int64)}, "one int64 source"),
        ({"images": GREY[:0], "labels": LABELS[:0]}, "no image"),
    ],
)
def test_what_does_not_fit_is_refused(changes, message):
    with pytest.raises(InputError, match=message):
        Examples(**{"images": GREY.copy(), "labels": LABELS.copy(), **changes})


def test_images_are_read_in_colour_with_their_sources(colour_folder):
    dataset = read_dataset("ct-lung", colour_folder)
    config = PreprocessConfig(rows=16, columns=24, colour=True, equalise_histogram=False)
    examples = read_examples(dataset, dataset.records[:9], config=config)
    assert examples.images.shape == (9, 16, 24, 3)
    assert examples.labels.tolist() == [0, 1, 2] * 3
    # The middle is red, green or blue: the class.
    assert examples.images[:, 8, 12].argmax(axis=1).tolist() == examples.labels.tolist()
    by_name = {"elsewhere": 0, "here": 1, "there": 2}
    assert examples.sources.tolist() == [by_name[r.source] for r in dataset.records[:9]]


def test_grey_image_is_refused_by_name_where_colour_is_wanted(brain_folder):
    dataset = read_dataset("brain-mri", brain_folder)
    config = PreprocessConfig(rows=16, columns=16, colour=True)
    with pytest.raises(ImageMismatchError, match=r"slice00.png: .* for a model of colour"):
        read_examples(dataset, dataset.records[:1], config=config)


def test_empty_class_is_named():
    examples = Examples(images=GREY.copy(), labels=np.array([0, 2, 2]))
    with pytest.raises(InputError, match=r"no image of class b in the validation part"):
        check_classes(examples, ("a", "b", "c"), part="validation")
    check_classes(examples, ("a",), part="validation")
