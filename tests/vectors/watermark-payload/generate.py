"""Write the test vectors of docs/spec/watermark-payload.md, without any code of medseal.

Run ``python tests/vectors/watermark-payload/generate.py`` in the root of the repository.
"""

import hashlib
import hmac
import json
from pathlib import Path

HERE = Path(__file__).parent
KEY = bytes(range(32))
PAYLOAD = bytes.fromhex("0123456789abcdef")
GENERATORS = (0o2353, 0o2671, 0o3175)
FREQUENCIES = [(u, v) for u in range(5) for v in range(5) if 1 <= u + v <= 4]


def derive(key, purpose, size):
    return hashlib.shake_256(b"medseal/watermark/v1/" + purpose + b"\0" + key).digest(size)


def coded(payload, key):
    mac = hmac.digest(derive(key, b"mac", 32), payload, "sha256")[:4]
    message = f"{int.from_bytes(payload + mac, 'big'):096b}" + "0" * 10
    register, result = 0, ""
    for bit in message:
        register = (register << 1 | int(bit)) & 0x7FF
        result += "".join(str(bin(register & g).count("1") % 2) for g in GENERATORS)
    return mac, result


def order(key, purpose, size):
    data = derive(key, purpose, 8 * size)
    words = [int.from_bytes(data[8 * i : 8 * i + 8], "little") for i in range(size)]
    return sorted(range(size), key=lambda i: words[i])


def tile(key):
    """Return the bit and the sign of each carrying coefficient of the first block."""
    slots = 64 * len(FREQUENCIES)
    places, bits = order(key, b"slots", slots), order(key, b"bits", 318)
    bit_of = [-1] * slots
    for number, place in enumerate(places[slots // 6 :]):
        bit_of[place] = bits[number % 318]
    count = 16 * 16 * len(FREQUENCIES)
    signs = f"{int.from_bytes(derive(key, b'signs', count // 8), 'big'):0{count}b}"
    return bit_of, signs


def write(name, **value):
    (HERE / f"{name}.json").write_text(json.dumps({"key": KEY.hex(), **value}, indent=2) + "\n")


mac, bits = coded(PAYLOAD, KEY)
write("valid", coded=bits, payload=PAYLOAD.hex(), mac=mac.hex())
turned = "".join(str(1 - int(b)) if i % 12 == 0 else b for i, b in enumerate(bits))
write("every-twelfth-bit-turned", coded=turned, payload=PAYLOAD.hex(), mac=mac.hex())
write("mac-of-another-key", coded=coded(PAYLOAD, bytes(32))[1], payload=None)
write("no-message", coded="01" * 159, payload=None)
bit_of, signs = tile(KEY)
write("tile", bit_of=bit_of, signs=signs)
