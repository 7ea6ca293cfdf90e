"""The paper-style cipher behind the interface of the baselines: the key names the trained weights.

A known-bad baseline for measuring. No security claim rests on a learned method: confidentiality and
integrity come from the sealed package.
"""

import copy
import hashlib
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import safetensors.numpy
import torch
from numpy.typing import NDArray

from medseal.errors import CipherKeyError, WeightsError
from medseal.protection.encryption.baselines.learned.networks import LearnedConfig, Pair
from medseal.protection.encryption.baselines.learned.train import as_tensor
from medseal.protection.encryption.baselines.method import Bytes, as_image, checked

__all__ = ["LearnedCipher", "key_of", "load_pair", "save_pair", "with_flipped_bit"]

MAX_WEIGHTS_BYTES = 64 * 2**20


def _bytes_of(pair: Pair) -> bytes:
    tensors = {name: weight.numpy() for name, weight in sorted(pair.state_dict().items())}
    return bytes(safetensors.numpy.save(tensors))


def key_of(pair: Pair) -> bytes:
    """Return 32 bytes that name the weights, which are the real key: their SHA-256."""
    return hashlib.sha256(_bytes_of(pair)).digest()


def save_pair(pair: Pair, path: Path) -> bytes:
    """Write the weights and return the key that names them."""
    path.write_bytes(_bytes_of(pair))
    return key_of(pair)


def load_pair(path: Path, config: LearnedConfig, *, key: bytes) -> Pair:
    """Return the pair in a file.

    Raises
    ------
    WeightsError
        The file is too large, is not the one that the key names, or does not fit the configuration.
    """
    if path.stat().st_size > MAX_WEIGHTS_BYTES:
        raise WeightsError(f"{path.name}: weights have at most {MAX_WEIGHTS_BYTES} bytes")
    data = path.read_bytes()
    if hashlib.sha256(data).digest() != key:
        raise WeightsError(f"{path.name}: the weights are not those of this key")
    pair = Pair(config)
    tensors = {
        name: torch.from_numpy(value) for name, value in safetensors.numpy.load(data).items()
    }
    try:
        pair.load_state_dict(tensors)
    except RuntimeError as error:
        raise WeightsError(f"{path.name}: the weights do not fit the configuration") from error
    return pair.eval()


def with_flipped_bit(pair: Pair, *, generator: np.random.Generator) -> Pair:
    """Return a copy in which one bit of one weight of the decoder is another: the key's avalanche.

    The bit is drawn from the 16 that hold sign, exponent and the first of the fraction; a weight
    that is no finite number is drawn again.
    """
    changed_pair = copy.deepcopy(pair)
    weights = list(changed_pair.decoder.parameters())
    while True:
        weight = weights[int(generator.integers(len(weights)))].data.view(-1)
        place, bit = int(generator.integers(len(weight))), int(generator.integers(16, 32))
        word = np.float32(weight[place].item()).view(np.uint32) ^ np.uint32(1 << bit)
        changed = float(word.view(np.float32))
        if np.isfinite(changed):
            weight[place] = changed
            return changed_pair


class LearnedCipher:
    """Trained pairs by key; there is no nonce.

    Parameters
    ----------
    pairs
        Trained ones.
    """

    name = "weights-as-key CNN"

    def __init__(self, pairs: Iterable[Pair]) -> None:
        self._pairs = {key_of(pair): pair for pair in pairs}

    @property
    def keys(self) -> tuple[bytes, ...]:
        """The keys that there are."""
        return tuple(self._pairs)

    def pair(self, key: bytes) -> Pair:
        """Return the pair of a key.

        Raises
        ------
        CipherKeyError
            No pair was trained for it.
        """
        if key not in self._pairs:
            raise CipherKeyError("no pair of networks was trained for this key")
        return self._pairs[key]

    def encrypt_many(self, images: NDArray[np.uint8], key: bytes) -> NDArray[np.uint8]:
        """Return the cipher images of (n, rows, columns) with even sides."""
        with torch.no_grad():
            found = self.pair(key).hidden(as_tensor(images))[:, 0]
        return np.asarray((found * 255).round().numpy(), np.uint8)

    def decrypt_many(self, cipher: NDArray[np.uint8], key: bytes) -> NDArray[np.uint8]:
        """Return the restored images of (n, rows, columns), not exact."""
        with torch.no_grad():
            found = self.pair(key).restored(as_tensor(cipher))[:, 0]
        return np.asarray((found * 255).round().numpy(), np.uint8)

    def encrypt(self, values: Bytes, key: bytes, nonce: bytes) -> Bytes:  # noqa: ARG002  of the interface
        """Return as many values as the image has, whose sides are even; the nonce is not used."""
        hidden: Bytes = self.encrypt_many(checked(values)[None], key)[0]
        return hidden.ravel()

    def decrypt(
        self,
        values: Bytes,
        key: bytes,
        nonce: bytes,  # noqa: ARG002  of the interface
        *,
        shape: tuple[int, int],
    ) -> Bytes:
        """Return the image, not exact; damage stays local."""
        plain: Bytes = self.decrypt_many(as_image(values, shape)[None], key)[0]
        return plain
