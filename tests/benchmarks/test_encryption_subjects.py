import numpy as np
import pytest

from benchmarks.encryption_subjects import KNOWN_BAD, PRODUCT, SOUND, subjects
from medseal.errors import CipherError
from medseal.protection.encryption.baselines.learned.networks import LearnedConfig, build
from tests.benchmarks.encryption_material import named, pictures


def test_every_cipher_has_its_kind_and_name() -> None:
    found = {subject.name: subject.kind for subject in subjects()}
    assert len(found) == len(subjects())
    assert found["AES-GCM"] == SOUND
    assert found["AES-CTR, nonce repeated"] == KNOWN_BAD
    assert found["integer unet"] == found["integer resnet"] == PRODUCT
    assert found["integer unet, 1 round"] == KNOWN_BAD
    learned = subjects([build(LearnedConfig(channels=4, layers=1)).eval()])
    assert {subject.name for subject in learned} - set(found) == {"weights-as-key CNN"}


@pytest.mark.parametrize(
    "name",
    ["integer autoencoder", "integer unet, 6 rounds, not whitened, without round constants"],
)
def test_the_integer_form_takes_a_chosen_nonce_and_returns_every_bit(name: str) -> None:
    subject, image = named(name), pictures(1, 32)[0]
    key, nonce = bytes(32), bytes(range(16))
    hidden = subject.cipher.encrypt(image, key, nonce)
    assert np.array_equal(hidden, subject.cipher.encrypt(image, key, nonce))
    assert np.array_equal(subject.cipher.decrypt(hidden, key, nonce, shape=image.shape), image)


def test_the_shipped_integer_form_refuses_a_changed_value() -> None:
    subject, image = named("integer unet"), pictures(1, 32)[0]
    hidden = subject.cipher.encrypt(image, bytes(32), bytes(16))
    hidden[5] ^= 1
    with pytest.raises(CipherError, match="changed"):
        subject.cipher.decrypt(hidden, bytes(32), bytes(16), shape=image.shape)


def test_the_digital_form_travels_as_a_picture_of_its_own() -> None:
    subject, image = named("digital"), pictures(1, 64)[0]
    hidden = subject.cipher.encrypt(image, bytes(32), bytes(16))
    assert subject.cipher.picture(hidden).ndim == 2
    assert np.array_equal(
        subject.cipher.decrypt(hidden, bytes(32), bytes(16), shape=(64, 64)), image
    )


def test_a_repeated_nonce_is_always_the_same_and_keys_are_those_there_are() -> None:
    rng = np.random.default_rng(1)
    assert named("AES-CTR, nonce repeated").nonce(rng) == bytes(16)
    assert named("AES-CTR").nonce(rng) != named("AES-CTR").nonce(rng)
    textbook = named("RSA on pixels, textbook (never do this)")
    assert textbook.key(rng) in textbook.keys
    assert len(named("AES-CTR").key(rng)) == 32
