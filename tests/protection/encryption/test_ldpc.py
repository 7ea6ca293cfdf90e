"""The error correction of cipher images."""

import numpy as np
import pytest

from medseal.errors import InputError
from medseal.protection.encryption import ldpc
from medseal.protection.encryption.ldpc import RATES, Code

SIZES = (1, 100, 5000, 40_000)
# Energy a message bit over noise density at which 40,000 bits decode: about 1 dB above capacity.
ENOUGH_DB = {
    "1/2": 2.25,
    "7/12": 2.25,
    "2/3": 2.25,
    "3/4": 2.75,
    "5/6": 3.5,
    "9/10": 4.5,
    "3/5": 2.25,
}


def share(rate: str) -> float:
    top, bottom = rate.split("/")
    return int(top) / int(bottom)


def noisy(coded: np.ndarray, rate: str, decibel: float, seed: int) -> np.ndarray:
    """Log-likelihoods of +-1 in Gaussian noise."""
    variance = 1 / (2 * share(rate) * 10 ** (decibel / 10))
    noise = np.random.default_rng(seed).normal(0, variance**0.5, coded.shape)
    return (2 * (1 - 2.0 * coded + noise) / variance).astype(np.float32)


def message(bits: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 2, bits, dtype=np.uint8)


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("bits", SIZES)
def test_round_trip(rate: str, bits: int) -> None:
    code = Code.of(rate, bits)
    coded = code.encode(message(bits))
    assert coded.shape == (code.coded_bits,)
    decoded, fulfilled = code.decode(np.where(coded, -9, 9).astype(np.float32))
    assert fulfilled.shape == (code.blocks,)
    assert fulfilled.all()
    assert np.array_equal(decoded, message(bits))


@pytest.mark.parametrize("rate", RATES)
def test_a_long_message_grows_by_the_rate(rate: str) -> None:
    code = Code.of(rate, 1_000_000)
    assert code.coded_bits == pytest.approx(1_000_000 / share(rate), rel=0.002)


@pytest.mark.parametrize("rate", RATES)
def test_no_cycle_of_length_four(rate: str) -> None:
    for lifting in (64, 65, 97, 256, 1024):
        layers = [dict(layer) for layer in ldpc._layers(rate, lifting)]
        for place, layer in enumerate(layers):
            for other in layers[place + 1 :]:
                shared = layer.keys() & other.keys()
                differences = {(layer[c] - other[c]) % lifting for c in shared}
                assert len(differences) == len(shared)


@pytest.mark.parametrize("rate", RATES)
def test_gaussian_noise(rate: str) -> None:
    code = Code.of(rate, 40_000)
    coded = code.encode(message(40_000))
    decoded, fulfilled = code.decode(noisy(coded, rate, ENOUGH_DB[rate], 1))
    assert fulfilled.all()
    assert np.array_equal(decoded, message(40_000))


@pytest.mark.parametrize("rate", ["1/2", "2/3"])
def test_a_healthy_channel_stays_so(rate: str) -> None:
    """Sums that were cut off must not turn, however long the decoding."""
    code = Code.of(rate, 300_000)
    coded = code.encode(message(300_000))
    given = noisy(coded, rate, ENOUGH_DB[rate] + 0.5, 2)
    decoded, fulfilled = code.decode(given)
    assert fulfilled.all()
    assert np.array_equal(decoded, message(300_000))


@pytest.mark.parametrize("rate", RATES)
def test_far_too_much_noise_is_told(rate: str) -> None:
    code = Code.of(rate, 40_000)
    _, fulfilled = code.decode(noisy(code.encode(message(40_000)), rate, -1.0, 1))
    assert not fulfilled.any()


@pytest.mark.parametrize(
    ("rate", "erased"), [("1/2", 0.4), ("7/12", 0.33), ("2/3", 0.26), ("5/6", 0.11)]
)
def test_erasures(rate: str, erased: float) -> None:
    code = Code.of(rate, 40_000)
    coded = code.encode(message(40_000))
    given = np.where(coded, -9, 9).astype(np.float32)
    given[np.random.default_rng(3).random(given.shape) < erased] = 0
    decoded, fulfilled = code.decode(given)
    assert fulfilled.all()
    assert np.array_equal(decoded, message(40_000))


def test_a_block_that_cannot_be_read_does_not_harm_the_others() -> None:
    code = Code.of("2/3", 60_000)
    coded = code.encode(message(60_000))
    given = np.where(coded, -9, 9).astype(np.float32)
    # Blocks take turns, from the first bit to the last.
    given[1 :: code.blocks] = 0
    decoded, fulfilled = code.decode(given)
    assert fulfilled.tolist() == [place != 1 for place in range(code.blocks)]
    right = decoded == message(60_000)
    assert right[0 :: code.blocks].all()
    assert right[2 :: code.blocks].all()


def test_many_blocks_are_decoded_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    code = Code.of("1/2", 60_000)
    given = noisy(code.encode(message(60_000)), "1/2", 2.5, 5)
    whole = code.decode(given)
    monkeypatch.setattr(ldpc, "_ROW_BYTES", 2 * code.lifting)
    parts = code.decode(given)
    assert np.array_equal(whole[0], parts[0])
    assert np.array_equal(whole[1], parts[1])


def test_wrong_arguments() -> None:
    with pytest.raises(InputError, match="the code rate 7/8 is unknown"):
        Code.of("7/8", 10)
    with pytest.raises(InputError, match="a message has 1 to"):
        Code.of("1/2", 0)
    code = Code.of("1/2", 10)
    with pytest.raises(InputError, match="takes 10 bits"):
        code.encode(np.zeros(11, np.uint8))
    with pytest.raises(InputError, match="log-likelihoods"):
        code.decode(np.zeros(11, np.float32))
