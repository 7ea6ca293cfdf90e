import numpy as np
import pytest

from medseal.classification.baselines import LinearSvm, SvmConfig, features, fit_svm
from medseal.classification.examples import Examples
from medseal.errors import ConfigurationError, WeightsError


def stripes(count, seed):
    """Noise with horizontal (0) or vertical (1) stripes."""
    generator = np.random.default_rng(seed)
    labels = np.arange(count, dtype=np.int64) % 2
    images = generator.integers(0, 150, (count, 64, 64)).astype(np.uint8)
    images[labels == 0, ::4] += 60
    images[labels == 1, :, ::4] += 60
    return Examples(images=images, labels=labels)


@pytest.fixture(scope="module")
def fitted():
    return fit_svm(stripes(40, 1), stripes(20, 2), config=SvmConfig())


@pytest.mark.parametrize("value", [0, 1, 255])
def test_features_are_finite_on_flat_images(value):
    table = features(np.full((224, 224), value, np.uint8))
    assert table.shape == (1296 + 531 + 48,)
    assert np.isfinite(table).all()


def test_features_do_not_depend_on_the_size_of_the_input():
    assert features(np.zeros((64, 64), np.uint8)).shape == (1875,)


def test_it_tells_stripes_apart(fitted):
    model, notes = fitted
    fresh = stripes(30, 3)
    assert np.mean(model.logits(fresh.images).argmax(axis=1) == fresh.labels) >= 0.9
    assert notes["cost"] in SvmConfig().costs


def test_stored_model_says_the_same(fitted):
    model, _ = fitted
    images = stripes(6, 4).images
    again = LinearSvm.from_tensors(model.to_tensors())
    np.testing.assert_allclose(again.logits(images), model.logits(images), atol=1e-3)


def test_same_data_same_model(fitted):
    model, notes = fitted
    again, notes_again = fit_svm(stripes(40, 1), stripes(20, 2), config=SvmConfig())
    np.testing.assert_array_equal(model.weights, again.weights)
    assert notes == notes_again


def test_other_tensors_are_refused(fitted):
    tensors = fitted[0].to_tensors()
    with pytest.raises(WeightsError, match="not the weights of a linear SVM"):
        LinearSvm.from_tensors({k: v for k, v in tensors.items() if k != "scale"})
    with pytest.raises(WeightsError, match="do not fit each other"):
        LinearSvm.from_tensors({**tensors, "mean": tensors["mean"][:-1]})
    shorter = {k: v if k == "offsets" else v[:-1] for k, v in tensors.items()}
    with pytest.raises(WeightsError, match="other features"):
        LinearSvm.from_tensors(shorter).logits(stripes(1, 4).images)


def test_settings_must_be_positive():
    with pytest.raises(ConfigurationError, match="must be positive"):
        SvmConfig(costs=())


def blocks(count, seed, classes=3):
    """Noise with stripes across, along, or both, in colour: red, green or blue."""
    generator = np.random.default_rng(seed)
    labels = np.arange(count, dtype=np.int64) % classes
    images = generator.integers(0, 120, (count, 64, 64, 3)).astype(np.uint8)
    for image, label in zip(images, labels, strict=True):
        image[..., label] += 60
        if label != 1:
            image[::4] += 50
        if label != 0:
            image[:, ::4] += 50
    return Examples(images=images, labels=labels)


def test_colour_adds_histograms_of_hue_saturation_and_value():
    grey = np.full((64, 64), 90, np.uint8)
    table = features(np.repeat(grey[:, :, None], 3, axis=2))
    np.testing.assert_allclose(table[:1875], features(grey))
    assert table.shape == (1875 + 96,)
    colours = table[1875:].reshape(3, 32)
    np.testing.assert_allclose(colours.sum(axis=1), 1)
    assert colours[1].argmax() == 0  # no saturation
    assert colours[2].argmax() == 90 // 8
    hue = [
        features(image)[1875:1907].argmax()
        for image in np.eye(3, dtype=np.uint8) * 255
        for image in [np.broadcast_to(image, (64, 64, 3))]
    ]
    assert hue == [0, 85 // 8, 170 // 8]


def test_three_classes_in_colour():
    model, notes = fit_svm(blocks(45, 1), blocks(24, 2), config=SvmConfig())
    fresh = blocks(30, 3)
    logits = model.logits(fresh.images)
    assert logits.shape == (30, 3)
    assert np.mean(logits.argmax(axis=1) == fresh.labels) >= 0.9
    again = LinearSvm.from_tensors(model.to_tensors())
    np.testing.assert_allclose(again.logits(fresh.images), logits, atol=1e-3)
    assert np.isfinite(notes["validation_loss"])
    wrong = {**model.to_tensors(), "offsets": np.zeros((3, 4))}
    with pytest.raises(WeightsError, match="not the weights of a linear SVM"):
        LinearSvm.from_tensors(wrong)


def test_balance_weighs_a_rare_class_like_a_frequent_one():
    def noise(count, seed):
        generator = np.random.default_rng(seed)
        images = generator.integers(0, 256, (count, 64, 64)).astype(np.uint8)
        return Examples(images=images, labels=(np.arange(count) % 8 == 1).astype(np.int64))

    settings = SvmConfig(costs=(1e-7,))
    fresh = noise(16, 3).images
    plain, balanced = (
        fit_svm(noise(64, 1), noise(64, 2), config=settings, balanced=balanced)[0]
        .logits(fresh)[:, 1]
        .mean()
        for balanced in (False, True)
    )
    assert plain == pytest.approx(np.log(1 / 7), abs=0.4)
    assert balanced == pytest.approx(0, abs=0.4)
