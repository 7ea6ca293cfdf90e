"""The folded beginning says what the beginning said, where it is one that can be folded."""

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from medseal.classification.onnx_stem import fold_stem

SIDE, FILTERS = 32, 5
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def beginning(size=7, *, mean=MEAN, stride=2, side=SIDE, pad=None):
    """A graph as the exporter makes it: bytes, grey, repeated to channels by the normalisation."""
    generator = np.random.default_rng(3)
    channels = len(mean)
    pad = size // 2 if pad is None else pad
    arrays = {
        "white": np.float32(255),
        "axis": np.array([1], np.int64),
        "mean": np.array(mean, np.float32).reshape(1, -1, 1, 1),
        "deviation": np.array(DEVIATION[:channels], np.float32).reshape(1, -1, 1, 1),
        "weight": generator.normal(size=(FILTERS, channels, size, size)).astype(np.float32),
        "bias": generator.normal(size=FILTERS).astype(np.float32),
    }
    nodes = [
        helper.make_node("Cast", ["images"], ["a"], to=TensorProto.FLOAT),
        helper.make_node("Div", ["a", "white"], ["b"]),
        helper.make_node("Unsqueeze", ["b", "axis"], ["c"]),
        helper.make_node("Sub", ["c", "mean"], ["d"]),
        helper.make_node("Div", ["d", "deviation"], ["e"]),
        helper.make_node(
            "Conv",
            ["e", "weight", "bias"],
            ["f"],
            kernel_shape=[size, size],
            strides=[stride, stride],
            pads=[pad] * 4,
        ),
        helper.make_node("Relu", ["f"], ["logits"]),
    ]
    images = helper.make_tensor_value_info("images", TensorProto.UINT8, ["batch", side, side])
    logits = helper.make_tensor_value_info(
        "logits", TensorProto.FLOAT, ["batch", FILTERS, None, None]
    )
    weights = [numpy_helper.from_array(np.asarray(a), name) for name, a in arrays.items()]
    graph = helper.make_graph(nodes, "beginning", [images], [logits], weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


def run(graph, images):
    session = onnxruntime.InferenceSession(
        graph.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    return session.run(None, {"images": images})[0]


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(5).integers(0, 256, (6, SIDE, SIDE), np.uint8)


@pytest.mark.parametrize("size", [3, 5, 7])
@pytest.mark.parametrize("mean", [(0.5,), MEAN])
def test_it_says_the_same_inside(size, mean, images):
    graph = beginning(size, mean=mean)
    before = run(graph, images)
    assert fold_stem(graph, images)
    onnx.checker.check_model(graph)
    after = run(graph, images)
    assert after.shape == before.shape
    inside = np.s_[:, :, 2:-2, 2:-2]
    # Weights of 8 bits: an error of some thousandths.
    assert np.abs(after - before)[inside].mean() < 0.01 * before[inside].std()
    # Channels whose zeros differ: the padding is a compromise.
    assert np.abs(after - before).mean() < 0.05 * before.std()


def test_weights_have_eight_bits_and_what_is_not_read_is_gone(images):
    graph = beginning()
    fold_stem(graph, images)
    arrays = {t.name: numpy_helper.to_array(t) for t in graph.graph.initializer}
    assert not {"mean", "deviation", "weight", "bias"} & set(arrays)
    kernel = arrays["medseal_stem_weight"]
    assert kernel.shape == (FILTERS, 4, 4, 4)
    step = np.abs(kernel).max(axis=(1, 2, 3), keepdims=True) / 127
    np.testing.assert_allclose(kernel / step, np.rint(kernel / step), atol=1e-4)


@pytest.mark.parametrize(
    "other",
    [{"stride": 1}, {"pad": 0}, {"side": 31}, {"size": 2, "pad": 1}],
    ids=["stride", "padding", "odd sides", "even filter"],
)
def test_another_beginning_stays_as_it_is(other, images):
    graph = beginning(**other)
    before = graph.SerializeToString()
    assert not fold_stem(graph, images)
    assert graph.SerializeToString() == before


def test_steps_that_others_read_too_stay(images):
    graph = beginning()
    graph.graph.node.append(helper.make_node("Relu", ["d"], ["also"]))
    assert not fold_stem(graph, images)
