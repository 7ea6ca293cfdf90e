import numpy as np
import pytest
from PIL import Image

from medseal.classification import Classifier
from medseal.classification.augment.site import shift_names
from medseal.classification.robustness import (
    CORRUPTIONS,
    SEVERITIES,
    corrupt,
    robustness,
    sample,
    site_rows,
)
from medseal.datasets import Record, read_dataset
from medseal.digest import Digest
from medseal.errors import ConfigurationError, InputError
from medseal.imaging.preprocess import PreprocessConfig
from medseal.weights import Card

GREY = np.random.default_rng(1).integers(30, 220, (60, 80), dtype=np.uint8)
COLOUR = np.random.default_rng(2).integers(30, 220, (60, 80, 3), dtype=np.uint8)


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_each_step_is_worse_than_the_one_before(name):
    smooth = np.kron(COLOUR[::12, ::12], np.ones((12, 12, 1), np.uint8))
    distances = []
    for severity in SEVERITIES:
        found = corrupt(smooth, name=name, severity=severity)
        assert found.dtype == np.uint8
        if name == "border":
            distances.append(found.shape[0] - 60)
        else:
            distances.append(float(np.abs(found.astype(float) - smooth).mean()))
    assert distances[0] == 0
    # Resampling to neighbouring sizes may differ by its phase alone.
    assert np.diff(distances).min() > -0.1 * distances[5]
    assert distances[5] > distances[3] > distances[0]
    np.testing.assert_array_equal(
        corrupt(smooth, name=name, severity=3), corrupt(smooth, name=name, severity=3)
    )


@pytest.mark.parametrize("name", [name for name in CORRUPTIONS if name != "colour-cast"])
def test_grey_images_stay_grey(name):
    assert corrupt(GREY, name=name, severity=5).ndim == 2


def test_jpeg_keeps_the_order_of_the_colours():
    red = np.zeros((16, 16, 3), np.uint8)
    red[:, :, 0] = 200
    found = corrupt(red, name="jpeg", severity=1)
    assert found[:, :, 0].min() > 150
    assert found[:, :, 2].max() < 60


def test_low_contrast_keeps_the_mean():
    found = corrupt(GREY, name="contrast", severity=5)
    assert found.mean() == pytest.approx(GREY.mean(), abs=1)
    assert found.std() == pytest.approx(GREY.std() * 0.1, rel=0.1)


def model():
    """Decide by the mean grey value; abstain near the middle."""
    card = Card(
        id="test-model",
        version="1",
        task="t",
        modality="any",
        method="linear-svm",
        sha256=Digest.plain(b""),
        default=False,
        limits="made for a test",
        classes=("no_tumour", "tumour"),
        calibration={"abstain_below": 0.6},
    )

    def logits(images):
        mean = images.reshape(len(images), -1).mean(axis=1) / 40
        return np.stack([np.ones(len(images)), mean], axis=1)

    preprocess = PreprocessConfig(rows=32, columns=32, equalise_histogram=False)
    return Classifier(card=card, preprocess=preprocess, logits=logits)


def test_rows_for_each_severity_and_site(brain_folder):
    data = read_dataset("brain-mri", brain_folder)
    found = robustness(model(), data, data.records[:8])
    assert set(found["corruptions"]) == set(CORRUPTIONS) - {"colour-cast"}  # the model is grey
    assert set(found["sites"]) == {"none", *shift_names(colour=False)}
    assert found["images"] == 8
    assert found["sites"] == site_rows(model(), data, data.records[:8])
    for rows in found["corruptions"].values():
        assert len(rows) == len(SEVERITIES)
        assert rows[0] == found["sites"]["none"]
    for row in (*found["corruptions"]["gamma"], *found["sites"].values()):
        assert 0 <= row["coverage"] <= 1
        assert 0 <= row["accuracy"] <= 1
    dark = found["corruptions"]["gamma"]
    # Darker images are all called healthy by this model.
    assert dark[5]["balanced_accuracy"] == 0.5
    assert dark[5]["accuracy"] == np.mean([r.label == "no_tumour" for r in data.records[:8]])


def test_grey_pictures_stored_in_colour_stay_grey(tmp_path):
    """Noise in each channel alone would turn them into colour images, which the model refuses."""
    for number, folder in enumerate(("no", "yes")):
        (tmp_path / folder).mkdir()
        picture = np.random.default_rng(number).integers(0, 256, (32, 32), dtype=np.uint8)
        Image.fromarray(picture).convert("RGB").save(tmp_path / folder / "1.png")
    data = read_dataset("brain-mri", tmp_path)
    found = robustness(model(), data, data.records)
    assert found["corruptions"]["noise"][5]["accuracy"] in (0, 0.5, 1)


def test_sample_is_balanced_and_repeats_itself():
    records = [
        Record(path=f"{i:02}", label="a" if i < 20 else "b", detail="", group="") for i in range(24)
    ]
    first, again = (sample(records, count=10, generator=np.random.default_rng(1)) for _ in range(2))
    assert first == again
    labels = [record.label for record in first]
    assert (labels.count("a"), labels.count("b")) == (6, 4)
    assert sample(records, count=50, generator=np.random.default_rng(1)) == tuple(records)


def test_refusals(brain_folder):
    with pytest.raises(ConfigurationError, match="a corruption is one of"):
        corrupt(GREY, name="rain", severity=1)
    with pytest.raises(ConfigurationError, match="severity 0 to 5"):
        corrupt(GREY, name="blur", severity=6)
    with pytest.raises(InputError, match="no colour to change"):
        corrupt(GREY, name="colour-cast", severity=1)
    data = read_dataset("brain-mri", brain_folder)
    with pytest.raises(InputError, match="no image of brain-mri to worsen"):
        robustness(model(), data, [])
