import dataclasses

import numpy as np
import pytest

from medseal.classification import Classifier, load_folder
from medseal.classification.trust import _shuffled, check_map, check_maps
from medseal.datasets import mr_phantom, read_dataset
from medseal.digest import Digest
from medseal.errors import InputError
from medseal.imaging.preprocess import PreprocessConfig
from medseal.weights import Card


def model(logits):
    card = Card(
        id="test-model",
        version="1",
        task="t",
        modality="any",
        method="linear-svm",
        sha256=Digest.plain(b""),
        default=False,
        limits="made for a test",
        classes=("no", "yes"),
    )
    preprocess = PreprocessConfig(rows=64, columns=64, equalise_histogram=False)
    return Classifier(card=card, preprocess=preprocess, logits=logits)


def scene():
    """A textured field with one bright square, which some models look at."""
    values = np.random.default_rng(3).integers(500, 1500, (64, 64))
    values[20:40, 24:44] = 3900
    return mr_phantom(generator=np.random.default_rng(1), rows=64, columns=64).with_stored_values(
        values[None, :, :, None].astype(np.uint16)
    )


def looks_at_the_square(images):
    bright = (images > 200).mean(axis=(1, 2))
    return np.stack([np.zeros(len(images)), 60 * bright - 1], axis=1)


def looks_nowhere(images):
    """Decide by a hash of the whole image: no place matters more than another."""
    noise = (images.reshape(len(images), -1).astype(np.int64).sum(axis=1) * 2654435761) % 997
    return np.stack([np.zeros(len(images)), noise / 400 + 0.1], axis=1)


def test_a_map_of_what_decides_is_trusted():
    found = check_map(
        scene(), model(looks_at_the_square), label="yes", generator=np.random.default_rng(1)
    )
    assert found.verdict == "trustworthy"
    assert found.deletion > 0.5
    assert found.insertion > 0.5
    assert max(found.deletion_p, found.insertion_p) <= 0.05
    assert found.correlation is None


def test_a_map_of_nothing_is_not():
    found = check_map(
        scene(), model(looks_nowhere), label="yes", generator=np.random.default_rng(1)
    )
    assert found.verdict == "not supported"


def test_a_map_that_does_not_depend_on_the_weights_is_not(trained, monkeypatch):
    """Grad-CAM replaced by the brightness of the image: the same whatever the weights are."""
    classifier = load_folder(trained.folder)

    def brightness(standard, classifier, *, index, method=None):  # noqa: ARG001
        return standard / 255.0

    monkeypatch.setattr("medseal.classification.trust.heat_map", brightness)
    image = mr_phantom(generator=np.random.default_rng(5), rows=64, columns=64, lesion=True)
    found = check_map(image, classifier, generator=np.random.default_rng(1))
    assert found.correlation == pytest.approx(1)
    assert found.verdict == "not supported"


def test_shuffling_leaves_the_model_as_it_was(trained):
    classifier = load_folder(trained.folder)
    image = mr_phantom(generator=np.random.default_rng(5), rows=64, columns=64, lesion=True)
    before = classifier.predict([image])[0].probabilities
    first, again = (
        check_map(image, classifier, generator=np.random.default_rng(1)) for _ in range(2)
    )
    assert first == again
    assert 0 <= first.correlation <= 1
    assert classifier.predict([image])[0].probabilities == before


def test_an_ensemble_needs_every_member():
    good, bad = model(looks_at_the_square), model(looks_nowhere)
    options = {"label": "yes", "generator": np.random.default_rng(1)}
    for members, verdict in (((good, good), "trustworthy"), ((good, bad), "not supported")):
        both = dataclasses.replace(good, members=members, shares=(0.5, 0.5))
        found = check_map(scene(), both, **options)
        assert found.verdict == verdict
        assert found.correlation is None


def test_many_maps_together(brain_folder):
    data = read_dataset("brain-mri", brain_folder)

    def by_brightest(images):
        bright = np.sort(images.reshape(len(images), -1), axis=1)[:, -40:].mean(axis=1)
        return np.stack([np.zeros(len(images)), bright / 20], axis=1)

    found = check_maps(
        model(by_brightest), data, data.records[:6], generator=np.random.default_rng(1)
    )
    assert found.images == 6
    assert found.deletion.low <= found.deletion.estimate <= found.deletion.high
    assert 0 <= found.trustworthy_share <= 1
    nothing = check_maps(
        model(looks_nowhere), data, data.records[:6], generator=np.random.default_rng(1)
    )
    assert nothing.verdict == "not supported"


def test_refusals(brain_folder):
    data = read_dataset("brain-mri", brain_folder)
    any_model = model(looks_nowhere)
    with pytest.raises(InputError, match="at least one image"):
        check_maps(any_model, data, [], generator=np.random.default_rng(1))
    with pytest.raises(InputError, match="knows the classes"):
        check_map(scene(), any_model, label="maybe", generator=np.random.default_rng(1))


def test_shuffled_weights_change_what_the_network_says_but_leave_it_alive(trained):
    """A network that went silent would give an empty map, which resembles nothing."""
    classifier = load_folder(trained.folder)
    images = np.random.default_rng(4).integers(0, 256, (3, 64, 64), dtype=np.uint8)
    other = _shuffled(classifier, np.random.default_rng(1))
    assert not np.allclose(other.logits(images), classifier.logits(images))
    assert np.ptp(other.logits(images), axis=0).max() > 0
    for name, values in classifier.network.state_dict().items():
        found = other.network.state_dict()[name]
        if values.ndim > 1:
            rows = (
                tensor.reshape(len(values), -1).sort(dim=1).values for tensor in (values, found)
            )
            np.testing.assert_array_equal(*rows)
        else:
            np.testing.assert_array_equal(values, found)
