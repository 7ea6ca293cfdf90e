"""The search for repeated blocks finds a grid without constants, and nothing in a sound cipher."""

import numpy as np
import pytest

from benchmarks.encryption_repeats import SIZES, repeated_blocks, repeats
from benchmarks.encryption_subjects import IntegerCipher, Subject
from medseal.protection.encryption.baselines import AesCtr, AesEcb
from medseal.protection.encryption.cnn.integer import Structure

BAD = Structure(backbone="unet", whiten=False, constants=False)


def least(cipher: object) -> float:
    subject = Subject(name="tried", cipher=cipher, kind="tried")
    found = repeated_blocks(subject, generator=np.random.default_rng(1))
    assert len(found) == 2 * len(SIZES)
    return min(row["p_value"] for row in found.values())


def test_pairs_of_equal_blocks_are_counted():
    values = np.arange(256, dtype=np.uint8)
    assert repeats(np.concatenate((values, values[:64], values[:64]))) == (6, 3)


@pytest.mark.parametrize("cipher", [AesEcb(), IntegerCipher(structure=BAD)])
def test_a_known_bad_cipher_is_found(cipher):
    assert least(cipher) < 1e-6


@pytest.mark.parametrize("cipher", [AesCtr(), IntegerCipher(structure=Structure(backbone="unet"))])
def test_a_sound_cipher_shows_no_repetition(cipher):
    assert least(cipher) == 1.0
