import dataclasses

import numpy as np
import pytest
import torch

from medseal.classification import explain, load_folder, overlay
from medseal.datasets import ct_phantom, mr_phantom
from medseal.errors import ImageMismatchError, InputError, ModelMismatchError


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
    maps = [explain(stack, classifier, frame=frame, label="tumour") for frame in range(3)]
    assert not np.array_equal(maps[0], maps[2])
    with pytest.raises(InputError, match="frames 0 to 2"):
        explain(stack, classifier, frame=3)


def test_refusals(classifier, trained_svm):
    with pytest.raises(ModelMismatchError, match="no network"):
        explain(image(), load_folder(trained_svm.folder))
    with pytest.raises(InputError, match="knows the classes"):
        explain(image(), classifier, label="stroke")
    ct = ct_phantom(generator=np.random.default_rng(1), rows=64, columns=64)
    with pytest.raises(ModelMismatchError, match="this one is CT"):
        explain(ct, classifier)


def test_model_without_network_says_so(classifier):
    bare = dataclasses.replace(classifier, network=None)
    with pytest.raises(ModelMismatchError, match="no network"):
        explain(image(), bare)


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
