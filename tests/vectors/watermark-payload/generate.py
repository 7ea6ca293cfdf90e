"""Write the test vectors of docs/spec/watermark-payload.md, without any code of medseal.

Run ``python tests/vectors/watermark-payload/generate.py`` in the root of the repository.
"""

import cmath
import hashlib
import hmac
import json
import math
from pathlib import Path

HERE = Path(__file__).parent
KEY = bytes(range(32))
PAYLOAD = bytes.fromhex("0123456789abcdef")
GENERATORS = (0o2327, 0o2353, 0o2671, 0o3175)
CODED_BITS = 808
SYNC_WAVES = 28
PLAIN_BITS, RINGS, STEP = 424, 16, 0.36 * 1.12**7


def derive(key, purpose, size):
    return hashlib.shake_256(b"medseal/watermark/v2/" + purpose + b"\0" + key).digest(size)


def words(key, purpose, size):
    data = derive(key, purpose, 8 * size)
    return [int.from_bytes(data[8 * i : 8 * i + 8], "little") for i in range(size)]


def order(key, purpose, size):
    drawn = words(key, purpose, size)
    return sorted(range(size), key=lambda i: drawn[i])


def coded(payload, key, free="0" * 96):
    """Return MAC and codeword; a plain codeword if there are no free bits."""
    mac = hmac.digest(derive(key, b"mac", 32), payload, "sha256")[:4]
    message = f"{int.from_bytes(payload + mac, 'big'):096b}"
    register, result = 0, ""
    for bit in "".join(a + b for a, b in zip(message, free or [""] * 96, strict=True)) + "0" * 10:
        register = (register << 1 | int(bit)) & 0x7FF
        result += "".join(str(bin(register & g).count("1") % 2) for g in GENERATORS)
    return mac, result


def length(wave):
    """Return 64^2 times the square of the frequency of a wave of the tile."""
    row, column = wave
    return min(row, 64 - row) ** 2 + column**2


def band(least, most):
    waves = [(u, v) for u in range(64) for v in range(32) if v > 0 or 0 < u < 32]
    return [wave for wave in waves if least <= length(wave) <= most]


def pattern(key):
    waves = band(4, 530)
    shuffled = [waves[i] for i in order(key, b"waves", len(waves))]
    sync = [wave for wave in shuffled if 15 <= length(wave) <= 163][:SYNC_WAVES]
    data = [wave for wave in shuffled if wave not in sync]
    bit_of = [i % CODED_BITS for i in order(key, b"bits", 2 * len(data))]
    drawn = derive(key, b"signs", -(-2 * len(data) // 8))
    signs = "".join(f"{byte:08b}" for byte in drawn)[: 2 * len(data)]
    return data, bit_of, signs, sync, words(key, b"phases", SYNC_WAVES)


def first_row(key, bits):
    """Return the first row of the tile of a codeword."""
    data, bit_of, signs, sync, phases = pattern(key)
    amplitude = math.sqrt(0.8 / (4 * len(data)))
    spectrum = {
        wave: cmath.rect(math.sqrt(0.2 / (2 * SYNC_WAVES)), 2 * math.pi * phase / 2**64)
        for wave, phase in zip(sync, phases, strict=True)
    }
    for number, wave in enumerate(data):
        parts = [
            1 if (signs[slot] == "1") == (bits[bit_of[slot]] == "1") else -1
            for slot in (number, number + len(data))
        ]
        spectrum[wave] = amplitude * complex(*parts)
    return [
        sum(
            2 * (value * cmath.exp(2j * math.pi * wave[1] * column / 64)).real
            for wave, value in spectrum.items()
        )
        for column in range(64)
    ]


def quantiser(key):
    """Return waves, their rings, the bit and sign of each slot, and the ring of each bit."""
    waves = band(4, 368)
    ring_of_wave = {
        wave: rank * RINGS // len(waves) for rank, wave in enumerate(sorted(waves, key=length))
    }
    rings = [ring_of_wave[wave] for wave in waves] * 2
    slots = order(key, b"quantised waves", len(rings))
    bits = order(key, b"quantised bits", PLAIN_BITS)
    bit_of, ring_of = [0] * len(rings), [0] * PLAIN_BITS
    for ring in range(RINGS):
        mine = bits[ring * PLAIN_BITS // RINGS : (ring + 1) * PLAIN_BITS // RINGS]
        for bit in mine:
            ring_of[bit] = ring
        for place, slot in enumerate(slot for slot in slots if rings[slot] == ring):
            bit_of[slot] = mine[place % len(mine)]
    drawn = derive(key, b"quantised signs", -(-len(rings) // 8))
    signs = "".join(f"{byte:08b}" for byte in drawn)[: len(rings)]
    return waves, rings, bit_of, signs, ring_of


def values_of(key, tile):
    """Return the value of each bit in a tile of 64 rows."""
    waves, rings, bit_of, signs, ring_of = quantiser(key)
    turn = [cmath.exp(-2j * math.pi * place / 64) for place in range(64)]
    lines = [
        [sum(x * turn[v * c % 64] for c, x in enumerate(row)) for v in range(32)] for row in tile
    ]
    parts = [sum(lines[r][v] * turn[u * r % 64] for r in range(64)) for u, v in waves]
    slots = [part.real for part in parts] + [part.imag for part in parts]
    levels = []
    for ring in range(RINGS):
        mine = [value * value for value, each in zip(slots, rings, strict=True) if each == ring]
        levels.append(math.sqrt(sum(mine) / len(mine)))
    values = []
    for bit in range(PLAIN_BITS):
        mine = [slot for slot, each in enumerate(bit_of) if each == bit]
        total = sum(slots[slot] if signs[slot] == "1" else -slots[slot] for slot in mine)
        values.append(total / math.sqrt(len(mine)) / levels[ring_of[bit]])
    return values


def nearest(key, values, bits):
    """Return the nearest values that stand for a plain codeword."""
    waves, rings, _, _, ring_of = quantiser(key)
    radii = []
    for ring in range(RINGS):
        mine = [math.sqrt(length(w)) for w, r in zip(waves, rings, strict=False) if r == ring]
        radii.append(sum(mine) / len(mine))
    mean = sum(radii) / RINGS
    result = []
    for bit, (value, word) in enumerate(
        zip(values, words(key, b"quantised dither", PLAIN_BITS), strict=True)
    ):
        step = STEP * (radii[ring_of[bit]] / mean) ** 0.8
        shift = word / 2**64 + int(bits[bit]) / 2
        result.append((round(value / step - shift) + shift) * step)
    return result


def write(name, **value):
    (HERE / f"{name}.json").write_text(json.dumps({"key": KEY.hex(), **value}, indent=1) + "\n")


mac, bits = coded(PAYLOAD, KEY)
write("valid", coded=bits, payload=PAYLOAD.hex(), mac=mac.hex())
other = coded(PAYLOAD, KEY, free="011" * 32)[1]
write("valid-other-free-bits", coded=other, payload=PAYLOAD.hex(), mac=mac.hex())
turned = "".join(str(1 - int(b)) if i % 6 == 0 else b for i, b in enumerate(bits))
write("every-sixth-bit-turned", coded=turned, payload=PAYLOAD.hex(), mac=mac.hex())
write("mac-of-another-key", coded=coded(PAYLOAD, bytes(32))[1], payload=None)
write("no-message", coded="01" * (CODED_BITS // 2), payload=None)
data, bit_of, signs, sync, phases = pattern(KEY)
write(
    "pattern",
    waves=" ".join(f"{u},{v}" for u, v in data),
    bit_of=" ".join(map(str, bit_of)),
    signs=signs,
    sync_waves=" ".join(f"{u},{v}" for u, v in sync),
    first_row_of_valid=[round(value, 6) for value in first_row(KEY, bits)],
)
plain = coded(PAYLOAD, KEY, free=None)[1]
write("plain", coded=plain, payload=PAYLOAD.hex(), mac=mac.hex())
turned = "".join(str(1 - int(b)) if i % 6 == 0 else b for i, b in enumerate(plain))
write("plain-every-sixth-bit-turned", coded=turned, payload=PAYLOAD.hex(), mac=mac.hex())
write("plain-mac-of-another-key", coded=coded(PAYLOAD, bytes(32), free=None)[1], payload=None)
drawn = derive(KEY, b"tile of the test vector", 64 * 64)
values = values_of(KEY, [drawn[64 * row : 64 * row + 64] for row in range(64)])
_, _, bit_of, signs, ring_of = quantiser(KEY)
write(
    "quantiser",
    bit_of=" ".join(map(str, bit_of)),
    signs=signs,
    ring_of=" ".join(map(str, ring_of)),
    dither=" ".join(map(str, words(KEY, b"quantised dither", PLAIN_BITS))),
    values=[round(value, 6) for value in values],
    step=STEP,
    nearest_to_plain=[round(value, 6) for value in nearest(KEY, values, plain)],
)
