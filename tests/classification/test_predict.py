import dataclasses
import shutil

import numpy as np
import pytest

from medseal import weights
from medseal.classification import Classifier, load, load_folder
from medseal.classification.classifier import suits
from medseal.classification.predict import classifier_from
from medseal.datasets import ct_phantom, mr_phantom
from medseal.errors import (
    DigestMismatchError,
    ModelMismatchError,
    UnknownModelError,
    WeightsError,
)
from medseal.imaging import display_values
from medseal.imaging.preprocess import standardise


@pytest.fixture(params=["trained", "trained_svm", "trained_ensemble"])
def classifier(request) -> Classifier:
    return load_folder(request.getfixturevalue(request.param).folder)


def slices(count=3, **options):
    return [
        mr_phantom(generator=np.random.default_rng(100 + i), rows=80, columns=64, **options)
        for i in range(count)
    ]


def test_prediction_is_complete(classifier):
    predictions = classifier.predict(slices())
    assert len(predictions) == 3
    for prediction in predictions:
        assert set(prediction.probabilities) == {"no_tumour", "tumour"}
        assert sum(prediction.probabilities.values()) == pytest.approx(1)
        best = max(prediction.probabilities, key=prediction.probabilities.__getitem__)
        assert prediction.label == best
        assert prediction.model_id == classifier.card.id
        assert prediction.calibrated


def test_order_and_company_do_not_matter(classifier):
    images = slices()
    together = classifier.predict(images)
    alone = [classifier.predict([image])[0] for image in reversed(images)]
    for one, other in zip(together, reversed(alone), strict=True):
        assert one.probabilities == pytest.approx(dict(other.probabilities), abs=1e-6)
    assert classifier.predict([]) == []


def test_frames_are_averaged(classifier):
    stack = slices(1, frames=5)[0]
    singles = [
        classifier.predict([stack.with_stored_values(stack.stored_values[i : i + 1])])[0]
        for i in range(5)
    ]
    mean = np.mean([single.probabilities["tumour"] for single in singles])
    [whole] = classifier.predict([stack])
    assert whole.probabilities["tumour"] == pytest.approx(mean, abs=0.02)


def test_temperature_of_the_card_is_used(classifier):
    image = slices(1)[0]
    card = dataclasses.replace(
        classifier.card, calibration={**classifier.card.calibration, "temperature": 1e6}
    )
    lukewarm = dataclasses.replace(classifier, card=card).predict([image])[0]
    assert lukewarm.probabilities["tumour"] == pytest.approx(0.5, abs=1e-3)
    raw = dataclasses.replace(classifier.card, calibration={})
    assert not dataclasses.replace(classifier, card=raw).predict([image])[0].calibrated


def test_below_the_threshold_it_abstains(classifier):
    image = slices(1)[0]
    for threshold, expected in ((1.1, True), (0.0, False)):
        calibration = {**classifier.card.calibration, "abstain_below": threshold}
        card = dataclasses.replace(classifier.card, calibration=calibration)
        prediction = dataclasses.replace(classifier, card=card).predict([image])[0]
        assert prediction.abstained is expected


def test_blank_image_is_left_to_a_person(classifier):
    image = slices(1)[0]
    blank = image.with_stored_values(np.full_like(image.stored_values, 7))
    assert classifier.predict([blank])[0].abstained


def test_another_modality_is_refused(classifier):
    ct = ct_phantom(generator=np.random.default_rng(1), rows=64, columns=64)
    with pytest.raises(ModelMismatchError, match="made for MR images, this one is CT"):
        classifier.predict([*slices(1), ct])


def test_unknown_modality_is_taken(classifier):
    image = slices(1)[0]
    unknown = image.with_stored_values(image.stored_values, modality=None)
    assert (
        classifier.predict([unknown])[0].probabilities
        == classifier.predict([image])[0].probabilities
    )


def test_probabilities_are_those_of_the_standardised_image(classifier):
    image = slices(1)[0]
    standard = standardise(display_values(image), config=classifier.preprocess)
    expected = classifier.probabilities(standard[None])[0, 1]
    assert classifier.predict([image])[0].probabilities["tumour"] == pytest.approx(expected)


def test_unknown_model_is_refused():
    with pytest.raises(UnknownModelError, match="no model 'no-such-model' is installed"):
        load("no-such-model")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"method": "forest"}, "knows no method 'forest'"),
        ({"preprocess": {}}, "other preprocessing"),
        ({"preprocess": {"colour": 1}}, "preprocess. is malformed"),
        ({"method": "linear-svm"}, "not the weights of a linear SVM"),
        ({"classes": ("a", "b", "c")}, "do not fit the network"),
        ({"network": {"depth": 1}}, "network. is malformed"),
        ({"network": {"truncate": 2}}, "network. is malformed"),
        ({"network": {"rows": 64}}, "network. is malformed"),
        ({"method": "ensemble"}, "names no members"),
    ],
)
def test_card_that_does_not_fit_is_refused(trained, changes, message):
    card, tensors = weights.load_folder(trained.folder)
    with pytest.raises(WeightsError, match=message):
        classifier_from(dataclasses.replace(card, **changes), tensors)


@pytest.mark.parametrize(
    "model_id",
    ["efficientnet-lite0-brain-mri", "five-layer-cnn-brain-mri", "linear-svm-brain-mri"],
)
def test_shipped_models_work(model_id):
    classifier = load(model_id)
    assert "Not a medical device" in classifier.card.limits
    predictions = classifier.predict(slices(2))
    assert {prediction.model_id for prediction in predictions} == {model_id}


def test_shipped_network_is_the_default_for_tumours_in_mr():
    assert weights.default_for("tumour", "MR") == "efficientnet-lite0-brain-mri"


def test_colour_image_is_refused_by_a_model_for_grey_ones(classifier):
    colour = np.zeros((1, 64, 64, 3), np.uint8)
    colour[..., 0] = 200
    image = slices(1)[0].with_stored_values(colour, bits_stored=8, photometric_interpretation="RGB")
    with pytest.raises(ModelMismatchError, match="made for grey images, this one is in colour"):
        classifier.predict([image])
    grey = np.repeat(colour[..., :1], 3, axis=3)
    stored_as_colour = image.with_stored_values(grey)
    assert len(classifier.predict([stored_as_colour])) == 1


def test_grey_image_is_refused_by_a_model_for_colour(trained_colour):
    classifier = load_folder(trained_colour.folder)
    with pytest.raises(ModelMismatchError, match="made for colour images, this one is grey"):
        classifier.predict(slices(1))


@pytest.mark.parametrize(
    "images",
    [
        np.zeros((1, 64, 64), np.float32),
        np.zeros((1, 32, 64), np.uint8),
        np.zeros((1, 64, 64, 3), np.uint8),
        np.zeros((0, 64, 64), np.uint8),
    ],
)
def test_arrays_that_are_not_standardised_are_refused(trained, images):
    with pytest.raises(ModelMismatchError, match="standardise them with its settings"):
        load_folder(trained.folder).logits(images)


def test_mirrored_image_gets_the_same_answer(trained_colour):
    classifier = load_folder(trained_colour.folder)
    images = np.random.default_rng(3).integers(0, 255, (2, 32, 32, 3)).astype(np.uint8)
    np.testing.assert_allclose(
        classifier.logits(images), classifier.logits(images[:, :, ::-1].copy()), atol=1e-4
    )


def test_ensemble_averages_what_its_members_say(trained_ensemble):
    both = load_folder(trained_ensemble.folder)
    image = slices(1)[0]
    parts = [member.predict([image])[0].probabilities["tumour"] for member in both.members]
    mean = float(np.dot(both.shares, parts))
    raw = dataclasses.replace(
        both, card=dataclasses.replace(both.card, calibration={"temperature": 1.0})
    )
    assert raw.predict([image])[0].probabilities["tumour"] == pytest.approx(mean, abs=1e-6)


@pytest.mark.parametrize(
    ("network", "message"),
    [
        ({"members": ["tiny-cnn"], "sha256": ["00", "11"]}, "one digest and one share a member"),
        ({"members": ["tiny-cnn"], "sha256": ["00"]}, "one digest and one share a member"),
        ({"members": "tiny-cnn", "sha256": []}, "names no members"),
    ],
)
def test_ensemble_card_that_does_not_fit_is_refused(trained_ensemble, network, message):
    card, tensors = weights.load_folder(trained_ensemble.folder)
    with pytest.raises(WeightsError, match=message):
        classifier_from(dataclasses.replace(card, network=network), tensors)


def test_changed_member_is_refused(trained_ensemble, tmp_path):
    parent = trained_ensemble.folder.parent
    for name in ("tiny-both", "tiny-cnn", "tiny-svm"):
        shutil.copytree(parent / name, tmp_path / name)
    card, tensors = weights.load_folder(tmp_path / "tiny-svm")
    changed = {name: np.array(tensor) * 2 for name, tensor in tensors.items()}
    weights.save(tmp_path, card=card, tensors=changed)
    with pytest.raises(DigestMismatchError, match="not the model that the ensemble was made of"):
        load_folder(tmp_path / "tiny-both")


def test_a_plate_and_a_detector_give_one_kind_of_picture(classifier):
    chest = dataclasses.replace(classifier.card, modality="DX")
    assert suits(chest, "CR")
    assert suits(chest, "DX")
    assert not suits(chest, "MR")
    assert not suits(classifier.card, "CR")
