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


def derive(key, purpose, size):
    return hashlib.shake_256(b"medseal/watermark/v2/" + purpose + b"\0" + key).digest(size)


def words(key, purpose, size):
    data = derive(key, purpose, 8 * size)
    return [int.from_bytes(data[8 * i : 8 * i + 8], "little") for i in range(size)]


def order(key, purpose, size):
    drawn = words(key, purpose, size)
    return sorted(range(size), key=lambda i: drawn[i])


def coded(payload, key, free="0" * 96):
    mac = hmac.digest(derive(key, b"mac", 32), payload, "sha256")[:4]
    message = f"{int.from_bytes(payload + mac, 'big'):096b}"
    register, result = 0, ""
    for bit in "".join(a + b for a, b in zip(message, free, strict=True)) + "0" * 10:
        register = (register << 1 | int(bit)) & 0x7FF
        result += "".join(str(bin(register & g).count("1") % 2) for g in GENERATORS)
    return mac, result


def length(wave):
    """Return 64^2 times the square of the frequency of a wave of the tile."""
    row, column = wave
    return min(row, 64 - row) ** 2 + column**2


def pattern(key):
    waves = [(u, v) for u in range(64) for v in range(32) if v > 0 or 0 < u < 32]
    waves = [wave for wave in waves if 4 <= length(wave) <= 530]
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
