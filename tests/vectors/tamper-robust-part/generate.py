"""Write the test vectors of docs/spec/tamper-robust-part.md, without any code of medseal.

Run ``python tests/vectors/tamper-robust-part/generate.py`` in the root of the repository.
"""

import hashlib
import json
import math
import struct
from pathlib import Path

HERE = Path(__file__).parent
KEY = bytes(range(32))
MODEL = bytes.fromhex("0123abcd")
MIXTURES, MODULUS = 6, 4
QUANTILES = 64


def quarter(state, a, b, c, d):
    for one, other, mixed, count in ((a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)):
        state[one] = (state[one] + state[other]) & 0xFFFFFFFF
        turned = state[mixed] ^ state[one]
        state[mixed] = (turned << count | turned >> (32 - count)) & 0xFFFFFFFF


def chacha20(key, size):
    """Return bytes of the key stream (RFC 8439, 2.3) with counter and nonce from zero."""
    stream = b""
    for counter in range(-(-size // 64)):
        first = [*struct.unpack("<4I", b"expand 32-byte k"), *struct.unpack("<8I", key)]
        first += [counter, 0, 0, 0]
        state = list(first)
        for _ in range(10):
            for column in range(4):
                quarter(state, column, column + 4, column + 8, column + 12)
            for place in range(4):
                quarter(
                    state,
                    place,
                    4 + (place + 1) % 4,
                    8 + (place + 2) % 4,
                    12 + (place + 3) % 4,
                )
        sums = [(one + two) & 0xFFFFFFFF for one, two in zip(first, state, strict=True)]
        stream += struct.pack("<16I", *sums)
    return stream[:size]


def frame_key(frame):
    return hashlib.blake2b(struct.pack(">I", frame), key=KEY, digest_size=32).digest()


def readout(key, tiles, features):
    """Return offsets as 32-bit numbers, and signs as bits, 1 for minus."""
    count = tiles * MIXTURES
    stream = chacha20(key, 4 * count + -(-count * features // 8))
    offsets = struct.unpack(f"<{count}I", stream[: 4 * count])
    bits = "".join(f"{byte:08b}" for byte in stream[4 * count :])[: count * features]
    return offsets, bits


def mixtures(features, bits):
    """Return the mixtures of each tile, one after the other; features are lists of tiles."""
    count = len(features)
    found = []
    for tile in range(len(features[0])):
        for mixture in range(MIXTURES):
            start = (tile * MIXTURES + mixture) * count
            signs = [-1 if bit == "1" else 1 for bit in bits[start : start + count]]
            total = sum(s * f[tile] for s, f in zip(signs, features, strict=True))
            found.append(total / math.sqrt(count))
    return found


def codes_of(features, offsets, bits):
    return [
        math.floor(value + offset / 2**30) % MODULUS
        for value, offset in zip(mixtures(features, bits), offsets, strict=True)
    ]


def compared(features, codes, offsets, bits):
    """Return the energy of each tile and the residual of each feature of each tile."""
    apart = [
        (value - (code + 0.5 - offset / 2**30) + 2) % MODULUS - 2
        for value, code, offset in zip(mixtures(features, bits), codes, offsets, strict=True)
    ]
    count, tiles = len(features), len(features[0])
    energy = [
        sum(x * x / (x * x + 0.5) for x in apart[MIXTURES * t : MIXTURES * (t + 1)]) / MIXTURES
        for t in range(tiles)
    ]
    residual = [[0.0] * tiles for _ in range(count)]
    for place, bit in enumerate(bits):
        row, feature = divmod(place, count)
        sign = -1 if bit == "1" else 1
        residual[feature][row // MIXTURES] += sign * apart[row] * 2 / math.sqrt(count)
    return energy, residual


def packed(numbers, size):
    bits = "".join(f"{number:0{size}b}" for number in numbers)
    bits += "0" * (-len(bits) % 8)
    return bytes(int(bits[i : i + 8], 2) for i in range(0, len(bits), 8))


def frame_of(levels, ranked, picture, codes):
    return bytes(levels) + bytes(ranked) + packed(picture, 3) + packed(codes, 2)


def bounds_of(levels, picture):
    """Return from where to where the means of the tiles lie."""
    half = [(levels[i + 1] - levels[i]) / 2 for i in range(7)]
    below, above = [half[0], *half], [*half, half[-1]]
    return [
        [levels[place] - below[place] for place in picture],
        [levels[place] + above[place] for place in picture],
    ]


def error_of(levels, picture):
    near = [levels[0], *levels, levels[-1]]
    widths = [(near[i + 2] - near[i]) / 2 for i in range(8)]
    return math.sqrt(sum(widths[place] ** 2 / 12 for place in picture) / len(picture))


def grid(frames, rows, columns):
    most = min(1024, 16000 // frames)
    short, long = sorted((rows, columns))
    if most < 64 or short < 24 or long > 12 * short:
        return None
    down = max(1, round(math.sqrt(most * rows / columns)))
    return [down, max(1, min(most // down, round(down * columns / rows)))]


def write(name, **value):
    (HERE / f"{name}.json").write_text(json.dumps(value, indent=1) + "\n")


GEOMETRIES = [
    (1, 512, 512),
    (1, 24, 24),
    (1, 2000, 700),
    (1, 24, 288),
    (1, 288, 24),
    (15, 100, 100),
    (16, 100, 100),
    (250, 64, 128),
    (251, 64, 128),
    (1, 23, 100),
    (1, 24, 289),
]
write("ranks", ranks=[1 / (1 + math.exp(7.5 - 15 * i / (QUANTILES - 1))) for i in range(QUANTILES)])
write("grids", grids=[{"image": list(one), "grid": grid(*one)} for one in GEOMETRIES])

DOWN, ACROSS, FEATURES = 2, 3, 12
TILES = DOWN * ACROSS
drawn = hashlib.shake_256(b"features of the test vector").digest(4 * FEATURES * TILES)
numbers = [number / 1000 for number in struct.unpack(f"<{2 * FEATURES * TILES}h", drawn)]
record = [[numbers[f * TILES + t] / 4 for t in range(TILES)] for f in range(FEATURES)]
shift = numbers[FEATURES * TILES :]
# The copy is forged in the last tile, and off by a little elsewhere.
copy = [
    [record[f][t] + shift[f * TILES + t] / (10 if t == TILES - 1 else 400) for t in range(TILES)]
    for f in range(FEATURES)
]
frames, pictures = [], []
for number in range(2):
    offsets, bits = readout(frame_key(number), TILES, FEATURES)
    codes = codes_of(record, offsets, bits)
    energy, residual = compared(copy, codes, offsets, bits)
    write(
        f"readout-{number}",
        key=KEY.hex(),
        frame=number,
        shape=[DOWN, ACROSS],
        offsets=list(offsets),
        signs=bits,
        record=record,
        codes=codes,
        copy=copy,
        energy=[round(value, 9) for value in energy],
        residual=[[round(value, 9) for value in row] for row in residual],
    )
    levels = [0, 0, 17, 60, 61, 128, 200, 255] if number == 0 else list(range(10, 90, 10))
    picture = [7, 0, 3, 1, 2, 5] if number == 0 else [4, 4, 4, 4, 4, 0]
    ranked = [4 * i if number == 0 else i // 2 + 100 for i in range(QUANTILES)]
    pictures.append((levels, ranked, picture))
    frames.append(frame_of(levels, ranked, picture, codes))

valid = MODEL + b"".join(frames)
shape = {"frames": 2, "grid": [DOWN, ACROSS]}
write(
    "valid",
    robust=valid.hex(),
    **shape,
    model=MODEL.hex(),
    coarse=[[levels[place] for place in picture] for levels, _, picture in pictures],
    ranked=[ranked for _, ranked, _ in pictures],
    bounds=[bounds_of(levels, picture) for levels, _, picture in pictures],
    errors=[round(error_of(levels, picture), 6) for levels, _, picture in pictures],
)


def refused(name, data, message):
    write(name, robust=data.hex(), **shape, error="FingerprintError", message=message)


def changed(place, value):
    return valid[:place] + bytes([valid[place] | value]) + valid[place + 1 :]


refused("empty", b"", "wrong length")
refused("cut", valid[:-1], "wrong length")
refused("trailing-byte", valid + b"\0", "wrong length")
refused("one-frame-only", valid[: 4 + len(frames[0])], "wrong length")
refused("falling-levels", changed(4, 1), "do not rise")
refused("falling-quantiles", changed(4 + 8, 5), "do not rise")
# 6 tiles of 3 bits: the last 6 bits of the third byte are unused.
refused("unused-bit", changed(4 + 8 + QUANTILES + 2, 1), "unused bits")
