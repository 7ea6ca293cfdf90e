"""Networks of the integer cipher: unet, resnet and autoencoder, with every weight from the key.

A network turns cells of 64 bytes into cells of 32 words. It need not be invertible, since its words
are only added and subtracted. The sums of the first map over all places enter the next layer, so
that each word depends on every byte. Layout and order of the draws: docs/spec/cipher-image.md.
No security claim rests on a learned method: confidentiality and integrity come from the sealed
package around it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medseal.protection.encryption.cnn.backends import Product
from medseal.protection.encryption.cnn.integer_layers import (
    Layer,
    Map,
    convolve,
    draw_layer,
    fold_words,
    mix,
    pool,
    to_space,
    upsample,
)
from medseal.protection.encryption.keystream import Stream

__all__ = ["CELL_BYTES", "CELL_WORDS", "GRID_STEP", "NETWORKS", "Network", "draw_network"]

CELL_BYTES = 64
CELL_WORDS = 32
GRID_STEP = 4
"""Rows and columns of a map are multiples of it: the U-Net halves them twice."""

_HIDDEN = 32
_BODY = 9 * _HIDDEN
_CONTEXT_MASK = 0xFFFF

Layers = Mapping[str, Layer]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Network:
    """The weights of one half round.

    Attributes
    ----------
    backbone
        Key of `NETWORKS`.
    layers
        By name.
    context
        (32, outputs of the first layer of the body), -64 to 63: weights of the sums.
    factors
        (32,), odd: of the words.
    """

    backbone: str
    layers: Layers
    context: NDArray[np.int8]
    factors: NDArray[np.uint16]

    def words(self, cells: Map, product: Product) -> NDArray[np.uint16]:
        """Return the words that are added to the other half.

        Parameters
        ----------
        cells
            (rows, columns, 64), sides multiples of 4.
        product
            From `backends.load`.

        Returns
        -------
        NDArray
            (rows, columns, 32).
        """
        first = mix(product, cells, self.layers["stem"])  # (rows, columns, 32)
        body = NETWORKS[self.backbone].body
        last = body(product, self._with_context(first), first)
        fold = partial(fold_words, factors=self.factors)
        return mix(product, last, self.layers["head"], fold)  # (rows, columns, 32)

    def _with_context(self, first: Map) -> Layers:
        """Return the layers with the sums of `first` in the bias of the body's first layer."""
        sums = first.sum(axis=(0, 1), dtype=np.int64) & _CONTEXT_MASK
        context = (sums @ self.context.astype(np.int64)) & _CONTEXT_MASK
        enters = self.layers["enter"]
        bias = enters.bias + context.astype(np.int32)
        return {**self.layers, "enter": Layer(matrix=enters.matrix, bias=bias)}


def _unet(product: Product, layers: Layers, first: Map) -> Map:
    """Two levels down, two up, each level joined with its like."""
    full = convolve(product, first, layers["enter"])  # (rows, columns, 32)
    half = convolve(product, pool(full), layers["down 1"])  # (rows / 2, columns / 2, 32)
    quarter = convolve(product, pool(half), layers["down 2"])  # (rows / 4, columns / 4, 32)
    joined = np.concatenate((half, upsample(quarter)), axis=2)  # (rows / 2, columns / 2, 64)
    half = mix(product, joined, layers["up 1"])  # (rows / 2, columns / 2, 32)
    joined = np.concatenate((full, upsample(half)), axis=2)  # (rows, columns, 64)
    return mix(product, joined, layers["up 2"])  # (rows, columns, 32)


def _resnet(product: Product, layers: Layers, first: Map) -> Map:
    """Two residual blocks; a byte holds the sum modulo 2**8."""
    once = first + convolve(product, first, layers["enter"])
    return once + convolve(product, once, layers["block 2"])


def _autoencoder(product: Product, layers: Layers, first: Map) -> Map:
    """Encode four places into a code of 32 bytes, decode, and place the four apart again."""
    encoded = convolve(product, first, layers["enter"], stride=2)  # (rows / 2, columns / 2, 64)
    code = mix(product, encoded, layers["code"])  # (rows / 2, columns / 2, 32)
    decoded = to_space(mix(product, code, layers["decode"]))  # (rows, columns, 32)
    return convolve(product, decoded, layers["refine"])  # (rows, columns, 32)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kind:
    """A backbone: its body, and inputs and outputs of its layers in the order of their draw."""

    body: Callable[[Product, Layers, Map], Map]
    sizes: Mapping[str, tuple[int, int]]


NETWORKS: Mapping[str, _Kind] = {
    "unet": _Kind(
        body=_unet,
        sizes={
            "enter": (_BODY, _HIDDEN),
            "down 1": (_BODY, _HIDDEN),
            "down 2": (_BODY, _HIDDEN),
            "up 1": (2 * _HIDDEN, _HIDDEN),
            "up 2": (2 * _HIDDEN, _HIDDEN),
        },
    ),
    "resnet": _Kind(
        body=_resnet,
        sizes={"enter": (_BODY, _HIDDEN), "block 2": (_BODY, _HIDDEN)},
    ),
    "autoencoder": _Kind(
        body=_autoencoder,
        sizes={
            "enter": (_BODY, 2 * _HIDDEN),
            "code": (2 * _HIDDEN, _HIDDEN),
            "decode": (_HIDDEN, 4 * _HIDDEN),
            "refine": (_BODY, _HIDDEN),
        },
    ),
}


def draw_network(backbone: str, stream: Stream) -> Network:
    """Return a network whose every number comes from the stream, in the order of the page."""
    kind = NETWORKS[backbone]
    sizes: dict[str, tuple[int, int]] = {
        "stem": (CELL_BYTES, _HIDDEN),
        **kind.sizes,
        "head": (_HIDDEN, 2 * CELL_WORDS),
    }
    layers = {name: draw_layer(stream, *size) for name, size in sizes.items()}
    context: Any = draw_layer(stream, _HIDDEN, kind.sizes["enter"][1]).matrix
    factors = stream.words(CELL_WORDS) | np.uint16(1)
    return Network(backbone=backbone, layers=layers, context=context, factors=factors)
