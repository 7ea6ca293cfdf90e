import dataclasses

import numpy as np
import pytest
import torch

from medseal.classification import Classifier, explain, load_folder, overlay
from medseal.classification.fit import logits_of, to_batch
from medseal.classification.networks import NETWORKS, NetworkConfig, build
from medseal.datasets import ct_phantom, mr_phantom
from medseal.digest import Digest
from medseal.errors import ConfigurationError, ImageMismatchError, InputError, ModelMismatchError
from medseal.imaging.preprocess import PreprocessConfig
from medseal.weights import Card


@pytest.fixture
def classifier(trained):
    return load_folder(trained.folder)


def image(**options):
    return mr_phantom(
        generator=np.random.default_rng(5), rows=90, columns=70, lesion=True, **options
    )


@pytest.mark.parametrize("label", [None, "tumour", "no_tumour"])
def test_shape_and_range(classifier, label):
    heat = explain(image(), classifier, label=label)
    assert heat.shape == (90, 70)
    assert heat.dtype == np.float64
    assert 0 <= heat.min() <= heat.max() <= 1


def test_most_probable_class_is_explained(classifier):
    label = classifier.predict([image()])[0].label
    np.testing.assert_array_equal(
        explain(image(), classifier), explain(image(), classifier, label=label)
    )


def test_heat_lies_where_the_network_looks(classifier):
    """A head that only sums one corner of the maps must light up that corner."""
    network = classifier.network
    state = {name: torch.zeros_like(t) for name, t in network.state_dict().items()}
    for number in range(1, 6):
        block = f"block{number}"
        state[f"{block}.0.weight"][:, :, 1, 1] = 0.1
        state[f"{block}.1.weight"] += 1
        state[f"{block}.1.running_var"] += 1
    area = state["dense1.weight"].shape[1] // 128
    state["dense1.weight"][:, area - 1 :: area] = 1.0  # the last place of each map
    state["dense2.weight"] += 1
    state["output.weight"][1] = 1.0
    network.load_state_dict(state)
    picture = np.zeros((64, 64), np.uint16)
    picture[:, 32:] = 1000
    picture[32:, 32:] = 4000
    stored = picture[None, :, :, None]
    base = mr_phantom(generator=np.random.default_rng(1), rows=64, columns=64)
    heat = explain(base.with_stored_values(stored), classifier, label="tumour")
    assert heat[40:, 40:].mean() > 4 * heat[:24, :24].mean()


def test_nothing_for_a_class_gives_zero(classifier):
    with torch.no_grad():
        for parameter in classifier.network.output.parameters():
            parameter.zero_()
    assert explain(image(), classifier).max() == 0


def test_each_frame_has_its_own_map(classifier):
    stack = image(frames=3)
    maps = [
        explain(stack, classifier, frame=frame, label="tumour", method="integrated-gradients")
        for frame in range(3)
    ]
    assert not np.array_equal(maps[0], maps[2])
    with pytest.raises(InputError, match="frames 0 to 2"):
        explain(stack, classifier, frame=3)


def test_a_model_without_a_network_is_explained_by_occlusion(trained_svm):
    svm = load_folder(trained_svm.folder)
    heat = explain(image(), svm)
    assert heat.shape == (90, 70)
    assert heat.max() == pytest.approx(1, abs=0.15)
    for method in ("grad-cam", "integrated-gradients"):
        with pytest.raises(ModelMismatchError, match="only occlusion"):
            explain(image(), svm, method=method)


def bright_corner_model(preprocess, *, classes=("dark", "bright", "neither")):
    """Say `bright` by the mean of the lower right quarter of the input, whatever else is there."""
    card = Card(
        id="corner",
        version="1",
        task="t",
        modality="any",
        method="linear-svm",
        sha256=Digest.plain(b""),
        default=False,
        limits="made for a test",
        classes=classes,
    )

    def logits(images):
        rows, columns = images.shape[1:3]
        mean = images[:, rows // 2 :, columns // 2 :].reshape(len(images), -1).mean(axis=1) / 255
        return np.stack([-4 * mean, 4 * mean, np.full(len(images), -9.0)], axis=1)

    return Classifier(card=card, preprocess=preprocess, logits=logits)


def shown(values):
    return mr_phantom(generator=np.random.default_rng(1), rows=64, columns=64).with_stored_values(
        values[None, :, :, None].astype(np.uint16)
    )


def test_occlusion_finds_what_decides_among_three_classes():
    model = bright_corner_model(PreprocessConfig(rows=64, columns=64, equalise_histogram=False))
    values = np.full((64, 64), 200)
    values[40:60, 40:60] = 4000
    heat = explain(shown(values), model, label="bright")
    assert heat[45:55, 45:55].mean() > 0.7
    assert heat[:24, :24].max() == 0
    assert explain(shown(values), model, label="dark")[45:55, 45:55].max() == 0


def test_an_ensemble_shows_what_its_members_use(classifier, trained_svm):
    svm = load_folder(trained_svm.folder)
    both = dataclasses.replace(
        classifier, network=None, members=(classifier, svm), shares=(0.75, 0.25)
    )
    heat = explain(image(), both, label="tumour")
    parts = [explain(image(), model, label="tumour") for model in (classifier, svm)]
    mean = 0.75 * parts[0] + 0.25 * parts[1]
    np.testing.assert_allclose(heat, mean / mean.max())


def test_map_lies_at_the_place_that_the_input_shows():
    """The network sees the box round the object alone, scaled, and squeezed or not."""
    model = bright_corner_model(
        PreprocessConfig(
            rows=64, columns=64, equalise_histogram=False, crop="foreground", keep_aspect=True
        )
    )
    values = np.zeros((100, 140))
    values[20:80, 80:130] = 1500  # the object
    values[55:75, 108:126] = 4000  # in its lower right quarter
    heat = explain(shown(values), model, label="bright")
    assert heat.shape == (100, 140)
    row, column = np.unravel_index(heat.argmax(), heat.shape)
    assert 50 <= row < 80
    assert 100 <= column < 130
    assert heat[:, :70].max() == 0


def test_integrated_gradients_see_the_lesion_side(classifier):
    heat = explain(image(), classifier, method="integrated-gradients", label="tumour")
    assert heat.shape == (90, 70)
    assert heat.max() == pytest.approx(1, abs=0.15)
    again = explain(image(), classifier, method="integrated-gradients", label="tumour")
    np.testing.assert_array_equal(heat, again)


@pytest.mark.parametrize("method", NETWORKS)
def test_every_network_has_maps_to_look_at(method):
    settings = NetworkConfig(
        rows=64, columns=64, classes=3, truncate=6 if method == "side-comparison" else 0
    )
    network = build(method, settings, seed=1).eval()
    network.requires_grad_(False)
    preprocess = PreprocessConfig(rows=64, columns=64)
    model = dataclasses.replace(
        bright_corner_model(preprocess),
        network=network,
        logits=lambda images: logits_of(network, images).numpy().astype(np.float64),
    )
    for label in model.card.classes:
        heat = explain(image(), model, label=label)
        assert heat.shape == (90, 70)
        assert 0 <= heat.min() <= heat.max() <= 1


def test_a_network_that_compares_places_has_its_own_map():
    """Both halves enter with opposite signs: the mean slope of each map is 0."""

    class Difference(torch.nn.Module):
        def features(self, images):
            return images

        def head(self, maps):
            half = maps.shape[3] // 2
            value = maps[:, 0, :, half:].mean(dim=(1, 2)) - maps[:, 0, :, :half].mean(dim=(1, 2))
            return torch.stack([-value, value, value * 0 - 9], dim=1)

    model = bright_corner_model(PreprocessConfig(rows=64, columns=64, equalise_histogram=False))
    network = Difference()
    values = np.full((64, 64), 200)
    values[30:40, 45:55] = 4000
    comparing = dataclasses.replace(
        model,
        card=dataclasses.replace(model.card, method="side-comparison"),
        network=network,
        logits=lambda images: network.head(to_batch(images)).numpy().astype(np.float64),
    )
    assert explain(shown(values), comparing, label="bright", method="grad-cam").max() < 1e-3
    heat = explain(shown(values), comparing, label="bright")
    assert heat[32:38, 47:53].min() > 0.9
    assert heat[:, :30].max() == 0


def test_refusals(classifier):
    with pytest.raises(InputError, match="knows the classes"):
        explain(image(), classifier, label="stroke")
    with pytest.raises(ConfigurationError, match="made by one of grad-cam"):
        explain(image(), classifier, method="saliency")
    ct = ct_phantom(generator=np.random.default_rng(1), rows=64, columns=64)
    with pytest.raises(ModelMismatchError, match="this one is CT"):
        explain(ct, classifier)


@pytest.mark.parametrize("shape", [(4, 6), (4, 6, 3)])
def test_overlay_leaves_cold_places_alone(shape):
    display = np.arange(np.prod(shape), dtype=np.uint8).reshape(shape)
    heat = np.zeros((4, 6))
    heat[1, 2] = 1.0
    painted = overlay(display, heat)
    assert painted.shape == (4, 6, 3)
    assert painted.dtype == np.uint8
    colour = display if display.ndim == 3 else np.repeat(display[:, :, None], 3, axis=2)
    cold = heat == 0
    np.testing.assert_array_equal(painted[cold], colour[cold])
    assert painted[1, 2, 0] > colour[1, 2, 0] + 50


def test_overlay_of_another_size_is_refused():
    with pytest.raises(ImageMismatchError, match="different sizes"):
        overlay(np.zeros((4, 4), np.uint8), np.zeros((4, 5)))
