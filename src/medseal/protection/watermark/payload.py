"""Watermark payload: identifier and keyed MAC behind a convolutional code that bends to the host.

Behind each bit of the message the code has a free bit. The embedder gives it the value with which
the codeword resembles most what the reader hears of the cover image anyway, so that a host that is
far louder than the mark helps it (dirty-paper coding). The reader decodes both and drops the free.
The mark that is quantised into the host (`quantisation`) needs no free bits: its codewords are of
half that length.
"""

import hashlib
import hmac

import numpy as np
from numpy.typing import NDArray

from medseal.errors import WatermarkKeyError

__all__ = [
    "CODED_BITS",
    "KEY_BYTES",
    "MAC_BITS",
    "PAYLOAD_BITS",
    "PAYLOAD_BYTES",
    "PLAIN_BITS",
    "bit_log_likelihoods",
    "check_key",
    "check_payload",
    "derive",
    "encode",
    "encode_plain",
    "most_likely_messages",
    "open_message",
]

PAYLOAD_BYTES = 8
PAYLOAD_BITS = 8 * PAYLOAD_BYTES
KEY_BYTES = 32
MAC_BITS = 32
_MESSAGE_BITS = PAYLOAD_BITS + MAC_BITS

# Rate 1/4, constraint length 11, free distance 29 (Proakis, Digital Communications, table 8.2-3).
_MEMORY = 10
_STATES = 1 << _MEMORY
_GENERATORS = (0o2327, 0o2353, 0o2671, 0o3175)
# Bits that go into the code for each bit of the message: itself, and a free bit behind it.
_PLAIN_STRIDE, _STRIDE = 1, 2
PLAIN_BITS = len(_GENERATORS) * (_PLAIN_STRIDE * _MESSAGE_BITS + _MEMORY)
CODED_BITS = len(_GENERATORS) * (_STRIDE * _MESSAGE_BITS + _MEMORY)

_HALF = _STATES // 2
# Higher than any sum of log-likelihood ratios that a decoder sees, and finite: inf - inf is NaN.
_IMPOSSIBLE = np.float32(-1e30)


def check_key(key: bytes) -> None:
    """Refuse a key of the wrong length.

    Raises
    ------
    WatermarkKeyError
        The key has not 32 bytes.
    """
    if not isinstance(key, bytes) or len(key) != KEY_BYTES:
        raise WatermarkKeyError(f"a watermark key has {KEY_BYTES} bytes")


def check_payload(payload: bytes) -> None:
    """Refuse a payload of the wrong length.

    Raises
    ------
    WatermarkKeyError
        The payload has not 8 bytes.
    """
    if not isinstance(payload, bytes) or len(payload) != PAYLOAD_BYTES:
        raise WatermarkKeyError(f"a watermark payload has {PAYLOAD_BYTES} bytes")


def derive(key: bytes, purpose: str, size_bytes: int) -> bytes:
    """Return bytes that only a holder of the key can compute, independent for each purpose.

    SHAKE-256 of the key, and not a random number generator of NumPy, whose streams may change
    from one version to the next: a mark must stay readable for as long as the image is kept.
    """
    state = hashlib.shake_256(f"medseal/watermark/v2/{purpose}\0".encode() + key)
    return state.digest(size_bytes)


def _mac(payload: bytes, key: bytes) -> bytes:
    full = hmac.digest(derive(key, "mac", KEY_BYTES), payload, "sha256")
    return full[: MAC_BITS // 8]


def _transitions() -> tuple[NDArray[np.uint8], NDArray[np.intp]]:
    """Return the output word (0 to 15) of each register and, by state, its two predecessors' words.

    The register holds eleven bits, the newest lowest; a state is its lower ten bits.
    """
    register = np.arange(2 * _STATES, dtype=np.uint32)
    words = np.zeros(2 * _STATES, np.uint8)
    for place, generator in enumerate(_GENERATORS):
        words |= (np.bitwise_count(register & generator) & 1).astype(np.uint8) << place
    state = np.arange(_STATES)
    # A state is reached from state >> 1 and from the same with the oldest bit set.
    incoming = np.stack([words[state], words[state | _STATES]]).astype(np.intp)
    return words, incoming


_WORDS, _INCOMING = _transitions()
# +1 where a bit of the output word is one, else -1: (16, 4).
_WORD_SIGNS = np.array(
    [
        [1.0 if word >> place & 1 else -1.0 for place in range(len(_GENERATORS))]
        for word in range(1 << len(_GENERATORS))
    ],
    np.float32,
)
_FREE = -1


def encode(
    payload: bytes, key: bytes, heard: NDArray[np.floating] | None = None
) -> NDArray[np.uint8]:
    """Return the codeword of a payload that fits best what is heard of the cover image.

    Parameters
    ----------
    payload
        8 bytes.
    key
        32 bytes; keys the MAC.
    heard
        (808,): what the reader hears of each coded bit in the cover image, positive for one; with
        none all free bits are 0.

    Returns
    -------
    numpy.ndarray
        (808,) of 0 and 1: four for each of 64 payload and 32 MAC bits, each of these with a free
        bit behind it, and for 10 closing bits.

    Raises
    ------
    WatermarkKeyError
        Key or payload has the wrong length.

    References
    ----------
    Miller, Doerr and Cox 2004, doi:10.1109/TIP.2003.821551.
    """
    wanted = _wanted(payload, key, _STRIDE)
    if heard is not None:
        wanted[1 : _STRIDE * _MESSAGE_BITS : _STRIDE] = _FREE
        wanted = _most_likely_bits(np.asarray(heard, np.float32)[None], wanted)[0].astype(np.int8)
    return _codeword(wanted)


def encode_plain(payload: bytes, key: bytes) -> NDArray[np.uint8]:
    """Return the codeword of a payload without free bits: (424,) of 0 and 1.

    Parameters and errors as for `encode`.
    """
    return _codeword(_wanted(payload, key, _PLAIN_STRIDE))


def _wanted(payload: bytes, key: bytes, stride: int) -> NDArray[np.int8]:
    """Return what goes into the code, every `stride`-th a bit of the message, the others 0."""
    check_key(key)
    check_payload(payload)
    message = np.unpackbits(np.frombuffer(payload + _mac(payload, key), np.uint8))
    wanted = np.zeros(stride * _MESSAGE_BITS + _MEMORY, np.int8)
    wanted[: stride * _MESSAGE_BITS : stride] = message
    return wanted


def _codeword(wanted: NDArray[np.int8]) -> NDArray[np.uint8]:
    coded = np.empty((len(wanted), len(_GENERATORS)), np.uint8)
    register = 0
    for step, bit in enumerate(wanted):
        register = (register << 1 | int(bit)) & (2 * _STATES - 1)
        coded[step] = _WORDS[register] >> np.arange(len(_GENERATORS)) & 1
    return coded.ravel()


def _stride(coded_bits: int) -> int:
    """Return how many bits went into a codeword of this length for each bit of the message."""
    return _STRIDE if coded_bits == CODED_BITS else _PLAIN_STRIDE


def _branch_scores(log_likelihoods: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the score of each output word at each step: (batch, steps, 16)."""
    rows = log_likelihoods.shape[0]
    by_step = log_likelihoods.reshape(rows, -1, len(_GENERATORS))
    return np.asarray(by_step @ _WORD_SIGNS.T * np.float32(0.5), np.float32)


def _start(batch: int) -> NDArray[np.float32]:
    score = np.full((batch, _STATES), _IMPOSSIBLE, np.float32)
    score[:, 0] = 0.0  # the register starts empty
    return score


def most_likely_messages(log_likelihoods: NDArray[np.floating]) -> list[bytes]:
    """Return the most likely payload and MAC for each row.

    Parameters
    ----------
    log_likelihoods
        (batch, 808), or (batch, 424) of plain codewords: log P(bit = 1) - log P(bit = 0), up to one
        positive factor.

    Returns
    -------
    list of bytes
        12 bytes for each row: payload and MAC, not yet compared.
    """
    stride = _stride(log_likelihoods.shape[1])
    wanted = np.full(stride * _MESSAGE_BITS + _MEMORY, _FREE, np.int8)
    wanted[-_MEMORY:] = 0
    bits = _most_likely_bits(np.asarray(log_likelihoods, np.float32), wanted)
    message = bits[:, : stride * _MESSAGE_BITS : stride]
    return [line.tobytes() for line in np.packbits(message, axis=1)]


def _most_likely_bits(
    log_likelihoods: NDArray[np.float32], wanted: NDArray[np.int8]
) -> NDArray[np.uint8]:
    """Return the most likely input bits among those that agree with `wanted` (Viterbi 1967).

    Parameters
    ----------
    log_likelihoods
        (batch, 4 steps).
    wanted
        (steps,): 0 or 1 where the bit is known, -1 where it is not; the last ten are 0.

    Returns
    -------
    numpy.ndarray
        (batch, steps).
    """
    branches = _branch_scores(log_likelihoods)
    batch, steps = branches.shape[:2]
    score = _start(batch)
    decisions = np.empty((steps, batch, _STATES), np.bool_)
    for step in range(steps):
        branch = branches[:, step]
        lower = np.repeat(score[:, :_HALF], 2, axis=1) + branch[:, _INCOMING[0]]
        upper = np.repeat(score[:, _HALF:], 2, axis=1) + branch[:, _INCOMING[1]]
        np.greater(upper, lower, out=decisions[step])
        score = np.maximum(lower, upper)
        if wanted[step] != _FREE:
            # The newest bit is the lowest of the state.
            score[:, 1 - wanted[step] :: 2] = _IMPOSSIBLE
    state = np.zeros(batch, np.intp)  # the closing bits lead back to the empty register
    bits = np.empty((batch, steps), np.uint8)
    row = np.arange(batch)
    for step in reversed(range(steps)):
        bits[:, step] = state & 1
        state = state >> 1 | decisions[step][row, state].astype(np.intp) * _HALF
    return bits


def bit_log_likelihoods(log_likelihoods: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return log P(1) - log P(0) of each payload bit, by the max-log form of BCJR.

    Parameters
    ----------
    log_likelihoods
        (808,) or (424,): log P(bit = 1) - log P(bit = 0) of each coded bit.

    Returns
    -------
    numpy.ndarray
        (64,).

    References
    ----------
    Bahl et al. 1974, doi:10.1109/TIT.1974.1055186.
    """
    branch = _branch_scores(np.asarray(log_likelihoods, np.float32)[None])[0]
    steps = branch.shape[0]
    forward = np.empty((steps + 1, _STATES), np.float32)
    forward[0] = _start(1)[0]
    for step in range(steps):
        lower = np.repeat(forward[step, :_HALF], 2) + branch[step, _INCOMING[0]]
        upper = np.repeat(forward[step, _HALF:], 2) + branch[step, _INCOMING[1]]
        forward[step + 1] = np.maximum(lower, upper)
    backward = _start(1)[0]
    result = np.empty(steps, np.float64)
    for step in reversed(range(steps)):
        here = forward[step + 1] + backward
        result[step] = float(here[1::2].max()) - float(here[0::2].max())
        into_lower = backward + branch[step, _INCOMING[0]]
        into_upper = backward + branch[step, _INCOMING[1]]
        backward = np.concatenate(
            [into_lower.reshape(_HALF, 2).max(axis=1), into_upper.reshape(_HALF, 2).max(axis=1)]
        )
    stride = _stride(log_likelihoods.shape[0])
    return result[: stride * PAYLOAD_BITS : stride]


def open_message(message: bytes, key: bytes) -> bytes | None:
    """Return the payload of a decoded message if its MAC fits, else None.

    A message that was not made with this key passes with probability 2**-32.
    """
    payload, tag = message[:PAYLOAD_BYTES], message[PAYLOAD_BYTES:]
    return payload if hmac.compare_digest(tag, _mac(payload, key)) else None
