import numpy as np
import pytest

from medseal.classification import load_folder
from medseal.classification.onnx_graph import to_onnx
from medseal.classification.quantise import RECIPES, quantised
from medseal.errors import ConfigurationError


@pytest.fixture(scope="module")
def graph(trained):
    return to_onnx(load_folder(trained.folder))


@pytest.fixture(scope="module")
def images():
    """Mostly dark, with a few bright places of very different brightness."""
    generator = np.random.default_rng(1)
    bright = generator.random((8, 64, 64)) < 0.01
    return np.where(bright, generator.integers(100, 256, (8, 1, 1)), 20).astype(np.uint8)


def scales(graph):
    arrays = {tensor.name: tensor for tensor in graph.graph.initializer}
    kinds = [node.op_type for node in graph.graph.node]
    assert kinds.count("QuantizeLinear") >= 6
    return {
        node.input[0]: arrays[node.input[1]].SerializeToString()
        for node in graph.graph.node
        if node.op_type == "QuantizeLinear"
    }


def test_recipes_fit_other_scales_and_leave_the_graph(graph, images):
    before = graph.SerializeToString()
    first, second = (scales(quantised(graph, images, recipe=recipe)) for recipe in RECIPES)
    assert graph.SerializeToString() == before
    assert set(first) == set(second)
    assert sum(first[name] != second[name] for name in first) > len(first) / 2


@pytest.mark.parametrize("none", [None, np.zeros((0, 64, 64), np.uint8)])
def test_no_images_are_refused(graph, none):
    with pytest.raises(ConfigurationError, match="int8 needs training images"):
        quantised(graph, none)
