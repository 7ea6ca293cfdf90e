from pathlib import Path

import numpy as np
import pytest
import torch

from medseal.errors import CipherKeyError, WeightsError
from medseal.protection.encryption.baselines.learned.cipher import (
    LearnedCipher,
    key_of,
    load_pair,
    save_pair,
    with_flipped_bit,
)
from medseal.protection.encryption.baselines.learned.networks import LearnedConfig, build
from tests.protection.encryption.baselines.images import KEY, NONCE, picture

SMALL = LearnedConfig(channels=4, layers=1)
PAIR = build(SMALL).eval()


def test_the_same_image_has_the_same_cipher_image_under_any_nonce() -> None:
    cipher = LearnedCipher([PAIR])
    hidden = cipher.encrypt(picture(16, 24), cipher.keys[0], NONCE)
    assert hidden.shape == (16 * 24,)
    assert np.array_equal(hidden, cipher.encrypt(picture(16, 24), cipher.keys[0], bytes(16)))
    plain = cipher.decrypt(hidden, cipher.keys[0], NONCE, shape=(16, 24))
    assert plain.shape == (16, 24)
    assert plain.dtype == np.uint8


def test_many_images_are_encrypted_as_one_by_one() -> None:
    cipher = LearnedCipher([PAIR])
    images = np.stack([picture(16, 16), picture(16, 16).T])
    many = cipher.encrypt_many(images, cipher.keys[0])
    one = [cipher.encrypt(image, cipher.keys[0], NONCE).reshape(16, 16) for image in images]
    assert np.abs(many.astype(int) - np.stack(one)).max() <= 1


def test_only_trained_keys_open() -> None:
    with pytest.raises(CipherKeyError, match="no pair"):
        LearnedCipher([PAIR]).encrypt(picture(16, 16), KEY, NONCE)


def test_weights_are_read_if_they_are_those_of_the_key(tmp_path: Path) -> None:
    path = tmp_path / "pair.safetensors"
    key = save_pair(PAIR, path)
    assert key == key_of(PAIR) == key_of(load_pair(path, SMALL, key=key))
    with pytest.raises(WeightsError, match="do not fit"):
        load_pair(path, LearnedConfig(channels=8, layers=1), key=key)
    path.write_bytes(path.read_bytes()[:-1] + b"\x7f")
    with pytest.raises(WeightsError, match="not those of this key"):
        load_pair(path, SMALL, key=key)


def test_a_flipped_bit_changes_one_weight_of_the_decoder_alone() -> None:
    changed = with_flipped_bit(PAIR, generator=np.random.default_rng(1))
    for own, theirs, count in (
        (PAIR.encoder, changed.encoder, 0),
        (PAIR.decoder, changed.decoder, 1),
    ):
        pairs = zip(own.parameters(), theirs.parameters(), strict=True)
        assert sum(int(torch.count_nonzero(a != b)) for a, b in pairs) == count
