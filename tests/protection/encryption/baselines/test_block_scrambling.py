import numpy as np
import pytest

from medseal.errors import InputError
from medseal.protection.encryption.baselines.block_scrambling import BlockScrambling
from tests.protection.encryption.baselines.images import KEY, NONCE, OTHER, picture

CIPHER = BlockScrambling()
SHAPE = (24, 40)


def test_what_was_encrypted_comes_back() -> None:
    image = picture(*SHAPE)
    hidden = CIPHER.encrypt(image, KEY, NONCE)
    assert hidden.ndim == 1
    assert hidden.dtype == np.uint8
    assert not np.array_equal(hidden[: image.size], image.ravel())
    assert np.array_equal(CIPHER.decrypt(hidden, KEY, NONCE, shape=SHAPE), image)


def test_another_key_gives_something_else() -> None:
    image = picture(*SHAPE)
    hidden = CIPHER.encrypt(image, KEY, NONCE)
    assert np.mean(CIPHER.decrypt(hidden, OTHER, NONCE, shape=SHAPE) == image) < 0.6


def test_the_blocks_stay_but_for_turns_and_negatives() -> None:
    image = picture(*SHAPE)
    hidden = CIPHER.encrypt(image, KEY, NONCE).reshape(SHAPE)
    folded = [
        sorted(np.minimum(b, 255 - b).sum() for b in CIPHER._cut(v).astype(int))
        for v in (image, hidden)
    ]
    assert folded[0] == folded[1]


def test_sides_are_whole_blocks() -> None:
    with pytest.raises(InputError, match="multiples of 8"):
        CIPHER.encrypt(picture(24, 41), KEY, NONCE)
