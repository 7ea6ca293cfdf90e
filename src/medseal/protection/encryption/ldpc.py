"""Error correction of a cipher image: quasi-cyclic LDPC codes, all blocks decoded at once.

Irregular repeat-accumulate codes of our own: a base matrix of a few rows, whose entries are shifts
of an identity matrix of side `lifting`, with a dual diagonal for the parity so that encoding is a
running sum. Decoding is layered normalised min-sum on 8-bit integers; the blocks of a message lie
side by side in memory, so that each step is one NumPy call over all of them. No security claim
rests on a learned method: confidentiality and integrity come from the sealed package around it.

References
----------
Jin, Khandekar and McEliece 2000, "Irregular repeat-accumulate codes"; Hocevar 2004,
doi:10.1109/SIPS.2004.1363033 (layers); Chen and Fossorier 2002, doi:10.1109/26.990903 (min-sum).
"""

import hashlib
from collections import Counter
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from medseal.errors import InputError

__all__ = ["ITERATIONS", "MAX_MESSAGE_BITS", "RATES", "Code"]

MAX_MESSAGE_BITS = 2**34
ITERATIONS = 24

# Rows of the base matrix, and for each message column its number of entries.
_DESIGNS: dict[str, tuple[int, tuple[int, ...]]] = {
    "1/2": (12, (11,) * 3 + (4,) + (3,) * 8),
    "7/12": (10, (10,) * 3 + (3,) * 11),
    "2/3": (8, (8,) * 2 + (4,) * 2 + (3,) * 12),
    "3/4": (6, (6,) * 3 + (4,) * 2 + (3,) * 13),
    "5/6": (4, (4,) * 10 + (3,) * 10),
    "9/10": (4, (4,) * 10 + (3,) * 26),
    "3/5": (10, (10,) * 3 + (4,) * 2 + (3,) * 10),
}
RATES = tuple(_DESIGNS)
# A long code corrects more; beyond this the gain is small and a block ends later.
_MAX_LIFTING = 1024
# Below this the shifts of the high rates cannot avoid cycles of length 4.
_MIN_LIFTING = 64
_SEED = "medseal/ldpc/v1"
_WORD_BYTES = 4
_WORDS = 4096

# Integers of the decoder: steps of a log-likelihood ratio in one unit of it, then the bounds of
# what comes from the channel, of a message of a check before it is scaled by 3/4 (to 32), and of a
# sum. One message outweighs twice a channel that is wrong; a sum and two messages fit 8 bits.
_STEPS = 2.0
_CHANNEL, _MESSAGE, _SUM = 16, 42, 63
# Bytes of one array row that the steps work on: a few of them fit the cache of a core.
_ROW_BYTES = 1 << 16
# Blocks that are done are taken out once they are this share: taking out copies the others.
_DONE_SHARE = 0.2

Bits = NDArray[np.uint8]
Steps = NDArray[np.int8]
# For each row of the base matrix its (column, shift).
_Layers = tuple[tuple[tuple[int, int], ...], ...]


def _message_entries(rows: int, degrees: tuple[int, ...]) -> list[list[int]]:
    """Return the rows in which each message column has an entry: even rows, few common pairs."""
    weight, pairs = [0] * rows, Counter[tuple[int, int]]()
    columns = []
    for column, degree in enumerate(degrees):
        chosen: list[int] = []
        for _ in range(degree):
            free = [row for row in range(rows) if row not in chosen]
            ranks = {
                row: (
                    weight[row],
                    sum(pairs[min(row, other), max(row, other)] for other in chosen),
                    (row * 7 + column * 5) % rows,
                )
                for row in free
            }
            row = min(free, key=ranks.__getitem__)
            chosen.append(row)
            weight[row] += 1
        pairs.update(combinations(sorted(chosen), 2))
        columns.append(chosen)
    return columns


def _parity_entries(rows: int, messages: int) -> list[dict[int, int]]:
    """Return shift by column for each row, parity columns only: one of weight 3, dual diagonal."""
    table: list[dict[int, int]] = [{} for _ in range(rows)]
    for row in range(rows):
        if row:
            table[row][messages + row] = 0
        if row < rows - 1:
            table[row][messages + row + 1] = 0
    table[0][messages] = table[-1][messages] = 1
    table[rows // 2][messages] = 0
    return table


@lru_cache(maxsize=64)
def _layers(rate: str, lifting: int) -> _Layers:
    """Return the base matrix, its shifts drawn so that no cycle of length 4 arises."""
    rows, degrees = _DESIGNS[rate]
    seed = f"{_SEED}/{rate}/{lifting}".encode()
    words = np.frombuffer(hashlib.shake_256(seed).digest(_WORD_BYTES * _WORDS), "<u4")
    draws = iter((words % lifting).tolist())
    table = _parity_entries(rows, len(degrees))
    for column, chosen in enumerate(_message_entries(rows, degrees)):
        done: list[int] = []
        for row in chosen:
            # Two rows that meet in two columns must differ by another shift in each.
            taken = {
                (table[other][column] - table[other][shared] + shift) % lifting
                for other in done
                for shared, shift in table[row].items()
                if shared in table[other]
            }
            table[row][column] = next(shift for shift in draws if shift not in taken)
            done.append(row)
    return tuple(tuple(sorted(row.items())) for row in table)


def _turned_xor(sums: NDArray[Any], column: NDArray[Any], start: int) -> None:
    """Add (modulo 2) a column, turned so that place `start` comes first, to the sums."""
    end = len(sums) - start
    np.bitwise_xor(sums[:end], column[start:], out=sums[:end])
    np.bitwise_xor(sums[end:], column[:start], out=sums[end:])


@dataclass(frozen=True, slots=True, kw_only=True)
class Code:
    """The code of one message: blocks of one length, shortened to the message.

    Attributes
    ----------
    rate
        One of `RATES`.
    message_bits
        Bits before coding.
    blocks
        Number of blocks; neighbouring bits lie in different ones.
    lifting
        Side of the shifted identity matrices, 64 to 1024.
    """

    rate: str
    message_bits: int
    blocks: int
    lifting: int

    @classmethod
    def of(cls, rate: str, message_bits: int) -> Self:
        """Return the code of a rate for a message.

        Raises
        ------
        InputError
            The rate is unknown, or the message empty or too long.
        """
        if rate not in _DESIGNS:
            raise InputError(f"the code rate {rate} is unknown; known: {', '.join(RATES)}")
        if not 1 <= message_bits <= MAX_MESSAGE_BITS:
            raise InputError(f"a message has 1 to {MAX_MESSAGE_BITS} bits, not {message_bits}")
        columns = len(_DESIGNS[rate][1])
        blocks = -(-message_bits // (columns * _MAX_LIFTING))
        lifting = max(_MIN_LIFTING, -(-message_bits // (columns * blocks)))
        return cls(rate=rate, message_bits=message_bits, blocks=blocks, lifting=lifting)

    @property
    def coded_bits(self) -> int:
        """Bits after coding: those of the message, and those of parity behind them."""
        return self.message_bits + _DESIGNS[self.rate][0] * self._row

    @property
    def _row(self) -> int:
        """Bits of one column of the base matrix, over all blocks."""
        return self.lifting * self.blocks

    def encode(self, bits: Bits) -> Bits:
        """Return the message and its parity: (coded_bits,) of 0 and 1 from (message_bits,).

        Raises
        ------
        InputError
            Another number of bits.
        """
        if bits.shape != (self.message_bits,):
            raise InputError(f"this code takes {self.message_bits} bits, not {bits.shape}")
        rows, degrees = _DESIGNS[self.rate]
        columns = np.zeros((len(degrees), self._row), np.uint8)
        columns.reshape(-1)[: self.message_bits] = bits
        sums = np.zeros((rows, self._row), np.uint8)
        for row, layer in enumerate(_layers(self.rate, self.lifting)):
            for column, shift in layer:
                if column < len(degrees):
                    _turned_xor(sums[row], columns[column], shift * self.blocks)
        parity = np.empty_like(sums)
        # The dual diagonal cancels in the sum of all rows; the two shifts of 1 do so as well.
        np.bitwise_xor.reduce(sums, axis=0, out=parity[0])
        _turned_xor(sums[0], parity[0], self.blocks)
        sums[rows // 2] ^= parity[0]
        parity[1] = sums[0]
        for row in range(1, rows - 1):
            np.bitwise_xor(sums[row], parity[row], out=parity[row + 1])
        return np.concatenate([bits, parity.reshape(-1)])

    def decode(
        self, log_likelihoods: NDArray[np.float32], *, iterations: int = ITERATIONS
    ) -> tuple[Bits, NDArray[np.bool_]]:
        """Return the message that was most likely sent.

        Parameters
        ----------
        log_likelihoods
            (coded_bits,), finite: ln P(bit = 0) - ln P(bit = 1); 0 for an erasure.
        iterations
            At most; blocks that fulfil all checks leave earlier.

        Returns
        -------
        tuple
            (message_bits,) of 0 and 1, and (blocks,) whether each fulfils all its checks. One that
            does may be wrong, one that does not may have a right message: a tag must tell.

        Raises
        ------
        InputError
            Another number of log-likelihood ratios.
        """
        if log_likelihoods.shape != (self.coded_bits,):
            raise InputError(
                f"this code takes {self.coded_bits} log-likelihoods, not {log_likelihoods.shape}"
            )
        columns = len(_DESIGNS[self.rate][1])
        channel = self._steps(log_likelihoods)
        decoded = np.empty((columns, self.lifting, self.blocks), np.uint8)
        fulfilled = np.zeros(self.blocks, np.bool_)
        layers = _layers(self.rate, self.lifting)
        many = max(1, _ROW_BYTES // self.lifting)
        for start in range(0, self.blocks, many):
            part = slice(start, start + many)
            state = _Decoding(layers, channel[:, :, part])
            state.run(iterations)
            decoded[:, :, part] = state.hard[:columns]
            fulfilled[part] = state.fulfilled
        return decoded.reshape(-1)[: self.message_bits], fulfilled

    def _steps(self, log_likelihoods: NDArray[np.float32]) -> Steps:
        """Return what the channel says as integers: (columns, lifting, blocks)."""
        rows, degrees = _DESIGNS[self.rate]
        # What was shortened away is known to be 0.
        channel = np.full((len(degrees) + rows) * self._row, _SUM, np.int8)
        steps = np.rint(np.clip(log_likelihoods * np.float32(_STEPS), -_CHANNEL, _CHANNEL))
        channel[: self.message_bits] = steps[: self.message_bits]
        channel[len(degrees) * self._row :] = steps[self.message_bits :]
        return channel.reshape(-1, self.lifting, self.blocks)


class _Decoding:
    """Blocks that are decoded together: sums of what is known of each bit, messages of checks.

    Parameters
    ----------
    layers
        The base matrix.
    channel
        (columns, lifting, blocks): what the channel says, in steps.
    """

    def __init__(self, layers: _Layers, channel: Steps) -> None:
        self._layers = layers
        self._columns, self._lifting, blocks = channel.shape
        self.hard = np.empty(channel.shape, np.uint8)
        self.fulfilled = np.zeros(blocks, np.bool_)
        self._open = np.arange(blocks)
        self._sums = channel.reshape(self._columns, -1).copy()
        row, most = self._sums.shape[1], max(len(layer) for layer in layers)
        self._messages = [np.zeros((len(layer), row), np.int8) for layer in layers]
        self._space = np.empty((3, most * row), np.int8)
        self._lines = np.empty((3, row), np.int8)
        # Whole rows, because NumPy is slow where one operand is a single number of 8 bits.
        self._bounds = np.empty((3, row), np.int8)
        self._bounds[:] = np.array([[_SUM], [-_SUM], [_MESSAGE]], np.int8)

    @property
    def _row(self) -> int:
        return int(self._lifting * len(self._open))

    def run(self, iterations: int) -> None:
        """Decode until all blocks fulfil their checks, or for a number of iterations."""
        for _ in range(iterations):
            if self._take_out(self._unfulfilled()):
                return
            for layer, messages in zip(self._layers, self._messages, strict=True):
                self._pass(layer, messages)
        wrong = self._unfulfilled()
        self._write(np.ones(len(self._open), np.bool_))
        self.fulfilled[self._open] = ~wrong

    def _unfulfilled(self) -> NDArray[np.bool_]:
        """Return which of the open blocks break a check or know nothing of a bit."""
        blocks = len(self._open)
        # All that is erased reads as zeros, and zeros fulfil every check.
        unknown = (self._sums == 0).any(axis=0)
        broken: NDArray[np.bool_] = unknown.reshape(self._lifting, blocks).any(axis=0)
        parity = np.empty(self._row, np.int8)
        for layer in self._layers:
            parity[:] = 0
            for column, shift in layer:
                # The sign bit of an exclusive or is that of the product.
                _turned_xor(parity, self._sums[column], shift * blocks)
            broken |= (parity < 0).reshape(self._lifting, blocks).any(axis=0)
        return broken

    def _write(self, which: NDArray[np.bool_]) -> None:
        """Write the bits of some of the open blocks."""
        sums = self._sums.reshape(self._columns, self._lifting, -1)
        self.hard[:, :, self._open[which]] = sums[:, :, which] < 0

    def _take_out(self, broken: NDArray[np.bool_]) -> bool:
        """Take out blocks that are done, if they are many; return whether none is left."""
        if broken.mean() > 1 - _DONE_SHARE:
            return False
        self._write(~broken)
        self.fulfilled[self._open[~broken]] = True
        self._sums = self._kept(self._sums, broken)
        self._messages = [self._kept(messages, broken) for messages in self._messages]
        self._open = self._open[broken]
        return len(self._open) == 0

    def _kept(self, values: Steps, which: NDArray[np.bool_]) -> Steps:
        by_block = values.reshape(len(values), self._lifting, -1)[:, :, which]
        return np.ascontiguousarray(by_block).reshape(len(values), -1)

    def _pass(self, layer: tuple[tuple[int, int], ...], messages: Steps) -> None:
        """Let each check of a layer tell its bits what the other bits say."""
        row, degree = self._row, len(layer)
        others, sizes, told = (s[: degree * row].reshape(degree, row) for s in self._space)
        self._gather(layer, messages, others)
        np.abs(others, out=sizes)
        least, second = self._two_least(sizes)
        # Masks of all ones where a bit is itself the least: it is told the second.
        np.equal(sizes, least, out=told.view(np.bool_))
        np.negative(told, out=told)
        for size in (least, second):
            # Min-sum overstates what a check knows by about a quarter.
            np.minimum(size, self._bounds[2, :row], out=size)
            np.subtract(size, size >> 2, out=size)
        second ^= least
        told &= second
        told ^= least
        # The sign of the product of all others: of all, times its own. A sign is exchanged by
        # inverting all bits and adding one.
        np.bitwise_xor(others, np.bitwise_xor.reduce(others, axis=0), out=sizes)
        np.less(sizes, 0, out=messages.view(np.bool_))
        np.negative(messages, out=sizes)
        told ^= sizes
        told += messages
        np.add(others, told, out=told)
        self._bound(told)
        # Messages and channel add up to each sum, a cut one too: or it turns when a few of them do.
        np.subtract(told, others, out=messages)
        self._scatter(layer, told)

    def _bound(self, values: Steps) -> None:
        upper, lower, _ = self._bounds[:, : self._row]
        np.minimum(values, upper, out=values)
        np.maximum(values, lower, out=values)

    def _gather(self, layer: tuple[tuple[int, int], ...], messages: Steps, others: Steps) -> None:
        """Fill what each bit of the checks knows without the check itself: (degree, row)."""
        for entry, (column, shift) in enumerate(layer):
            start = shift * len(self._open)
            end = self._row - start
            sums, message, other = self._sums[column], messages[entry], others[entry]
            np.subtract(sums[start:], message[:end], out=other[:end])
            np.subtract(sums[:start], message[end:], out=other[end:])

    def _scatter(self, layer: tuple[tuple[int, int], ...], sums: Steps) -> None:
        """Put the new sums of the bits of the checks back in their places."""
        for entry, (column, shift) in enumerate(layer):
            start = shift * len(self._open)
            end = self._row - start
            self._sums[column][start:] = sums[entry][:end]
            self._sums[column][:start] = sums[entry][end:]

    def _two_least(self, sizes: Steps) -> tuple[Steps, Steps]:
        """Return the least and the second least of each column."""
        least, second, line = self._lines[:, : self._row]
        np.minimum(sizes[0], sizes[1], out=least)
        np.maximum(sizes[0], sizes[1], out=second)
        for size in sizes[2:]:
            np.maximum(least, size, out=line)
            np.minimum(second, line, out=second)
            np.minimum(least, size, out=least)
        return least, second
