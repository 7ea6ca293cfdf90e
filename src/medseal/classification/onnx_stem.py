"""The first convolution of a grey image, its normalisation folded in, made fast in 8 bits."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from medseal.classification.eight_bits import on_grid

if TYPE_CHECKING:
    import onnx

__all__ = ["fold_stem"]

_CHAIN = ("Cast", "Div", "Unsqueeze", "Sub", "Div", "Conv")
_STRIDE = 2
_WHITE_LEVEL = 255
_CONVOLUTION_NDIM = 4
_PREFIX = "medseal_stem_"
# Images that the weights are rounded for, and every how many places of them.
_IMAGES, _SPACING = 64, 8


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Stem:
    """What stands before the second layer.

    Attributes
    ----------
    nodes
        One of each kind in `_CHAIN`, in order.
    weights, bias
        Of the convolution on normalised channels: (filters, channels, size, size), (filters,).
    scale, mean, deviation
        A channel's input is (grey level / scale - mean) / deviation; one number, (channels,) twice.
    """

    nodes: tuple[Any, ...]
    weights: NDArray[np.float64]
    bias: NDArray[np.float64]
    scale: float
    mean: NDArray[np.float64]
    deviation: NDArray[np.float64]


def fold_stem(graph: "onnx.ModelProto", images: NDArray[np.uint8]) -> bool:
    """Replace the first steps of a network for grey images by a convolution on four channels.

    A convolution of stride 2 on one channel is one of stride 1 on the four channels that hold the
    even and odd rows and columns. The grey channel, repeated for weights made for colour, is one
    again, and its normalisation goes into the weights. The engines compute 8-bit channels in
    fours, so that three of 7 x 7 take three times as long as four of 4 x 4, and a grey level is
    exact in 8 bits.

    Parameters
    ----------
    graph
        As `to_onnx` returns it; changed in place where it begins so, else left as it is.
    images
        Standardised training images, (n, rows, columns), n > 0; the weights are rounded to 8 bits
        such that the outputs on them hardly change.

    Returns
    -------
    bool
        Whether it was changed.

    Notes
    -----
    Exact but for the border. Padding is zero after the normalisation of each channel, which is
    another grey level in each: here it is the one level that is nearest in least squares. And but
    for the rounding, which `quantised` would do without the images.
    """
    from onnx import helper, numpy_helper  # noqa: PLC0415  # optional; `to_onnx` needs it

    stem = _find(graph.graph, numpy_helper)
    if stem is None:
        return False
    kernel, bias, level = _folded(stem)
    pad = stem.weights.shape[2] // 2
    before = pad + pad % 2  # blocks of two begin on an even row
    after = 2 * pad - before
    inputs_seen = _patches(images, kernel.shape[2], padding=(before, after), level=level)
    moments = inputs_seen.T @ inputs_seen / len(inputs_seen)
    kernel = on_grid(kernel.reshape(len(kernel), -1), moments).reshape(kernel.shape)
    arrays = {
        "axis": np.array([1], np.int64),
        "pads": np.array([0, 0, before, before, 0, 0, after, after], np.int64),
        "level": np.uint8(level),
        "weight": kernel.astype(np.float32),
        "bias": bias.astype(np.float32),
    }
    image, last = stem.nodes[0].input[0], stem.nodes[-1].output[0]
    steps: tuple[tuple[str, list[str], str, dict[str, Any]], ...] = (
        ("Unsqueeze", [image, _PREFIX + "axis"], "grey", {}),
        ("Pad", [_PREFIX + "grey", _PREFIX + "pads", _PREFIX + "level"], "padded", {}),
        ("SpaceToDepth", [_PREFIX + "padded"], "packed", {"blocksize": _STRIDE}),
        # After the packing: else the 8-bit scale would stand before it, and the convolution in
        # floating point behind it.
        ("Cast", [_PREFIX + "packed"], "input", {"to": 1}),
    )
    made = [
        helper.make_node(kind, inputs, [_PREFIX + output], name=_PREFIX + kind, **attributes)
        for kind, inputs, output, attributes in steps
    ]
    inputs = [_PREFIX + name for name in ("input", "weight", "bias")]
    shape = {"kernel_shape": list(kernel.shape[2:]), "strides": [1, 1], "pads": [0] * 4}
    made.append(helper.make_node("Conv", inputs, [last], name=_PREFIX + "Conv", **shape))
    _replace(graph.graph, stem.nodes, made)
    graph.graph.initializer.extend(
        numpy_helper.from_array(np.asarray(array), _PREFIX + name) for name, array in arrays.items()
    )
    _drop_unused(graph.graph)
    return True


def _find(graph: Any, numpy_helper: Any) -> _Stem | None:
    """Return the steps from the image to the first convolution; None if they are others."""
    arrays = {tensor.name: tensor for tensor in graph.initializer}

    def constant(node: Any, place: int) -> NDArray[np.float64] | None:
        tensor = arrays.get(node.input[place]) if len(node.input) > place else None
        if tensor is None:
            return None
        return np.asarray(numpy_helper.to_array(tensor), dtype=np.float64)

    nodes: list[Any] = []
    value = graph.input[0].name
    for kind in _CHAIN:
        users = [node for node in graph.node if value in node.input and node.op_type != "Shape"]
        if len(users) != 1 or users[0].op_type != kind or users[0].input[0] != value:
            return None
        nodes.append(users[0])
        value = users[0].output[0]
    scale, axis = constant(nodes[1], 1), constant(nodes[2], 1)
    mean, deviation = constant(nodes[3], 1), constant(nodes[4], 1)
    weights, bias = constant(nodes[5], 1), constant(nodes[5], 2)
    if scale is None or axis is None or mean is None or deviation is None or weights is None:
        return None
    channels = weights.shape[1]
    flat = {tuple(part.shape) for part in (mean, deviation)} == {(1, channels, 1, 1)}
    sides = [side.dim_value for side in graph.input[0].type.tensor_type.shape.dim[1:]]
    even = len(sides) == _STRIDE and all(side > 0 and side % _STRIDE == 0 for side in sides)
    if not (flat and even and scale.size == 1 and axis.tolist() == [1] and _fits(nodes[5])):
        return None
    return _Stem(
        nodes=tuple(nodes),
        weights=weights,
        bias=np.zeros(len(weights)) if bias is None else bias,
        scale=float(scale.item()),
        mean=mean.reshape(-1),
        deviation=deviation.reshape(-1),
    )


def _fits(convolution: Any) -> bool:
    """Return whether it has stride 2, one group, and an odd square filter padded to its middle."""
    found = {part.name: list(part.ints) or part.i or part.s for part in convolution.attribute}
    size = found.get("kernel_shape", [])
    return bool(
        len(size) == _CONVOLUTION_NDIM // 2
        and size[0] == size[1]
        and size[0] % 2 == 1
        and found.get("strides") == [_STRIDE] * 2
        and found.get("dilations", [1, 1]) == [1, 1]
        and found.get("group", 1) == 1
        and found.get("pads") == [size[0] // 2] * 4
    )


def _folded(stem: _Stem) -> tuple[NDArray[np.float64], NDArray[np.float64], int]:
    """Return the weights on packed grey levels, the bias, and the level that pads."""
    channel = (1, -1, 1, 1)
    normalised = stem.weights / stem.deviation.reshape(channel)
    grey = normalised.sum(axis=1) / stem.scale  # (filters, size, size)
    constant = (normalised * stem.mean.reshape(channel)).sum(axis=1)
    energy = float((grey * grey).sum())
    level = round(float((grey * constant).sum()) / energy) if energy else 0
    filters, size = len(grey), grey.shape[1]
    first = size // 2 % 2  # the filter then begins on an even row
    wide = np.zeros((filters, size + 1, size + 1))
    wide[:, first : first + size, first : first + size] = grey
    kernel = np.stack(
        [wide[:, row::2, column::2] for row in (0, 1) for column in (0, 1)], axis=1
    )  # (filters, 4, (size + 1) / 2, (size + 1) / 2)
    return kernel, stem.bias - constant.sum(axis=(1, 2)), min(max(level, 0), _WHITE_LEVEL)


def _patches(
    images: NDArray[np.uint8], size: int, *, padding: tuple[int, int], level: int
) -> NDArray[np.float64]:
    """Return what the convolution sees at some places, (places, 4 * size * size)."""
    chosen = images[:: -(-len(images) // _IMAGES)]
    padded = np.pad(chosen, ((0, 0), padding, padding), constant_values=level)
    packed = np.stack([padded[:, r::2, c::2] for r in (0, 1) for c in (0, 1)], axis=1)
    windows = np.lib.stride_tricks.sliding_window_view(packed, (size, size), axis=(2, 3))
    some = windows[:, :, ::_SPACING, ::_SPACING].transpose(0, 2, 3, 1, 4, 5)
    return some.reshape(-1, packed.shape[1] * size * size).astype(np.float64)


def _replace(graph: Any, old: tuple[Any, ...], new: list[Any]) -> None:
    """Put `new` where the last of `old` stands."""
    names = {node.output[0] for node in old}
    kept: list[Any] = []
    for node in graph.node:
        if node.output[0] == old[-1].output[0]:
            kept += new
        elif node.output[0] not in names:
            kept.append(node)
    del graph.node[:]
    graph.node.extend(kept)


def _drop_unused(graph: Any) -> None:
    """Remove constants that no node reads, and what is known of values between nodes."""
    read = {name for node in graph.node for name in node.input}
    kept = [tensor for tensor in graph.initializer if tensor.name in read]
    del graph.initializer[:]
    graph.initializer.extend(kept)
    del graph.value_info[:]
