"""Write the test vectors of docs/spec/tamper-fingerprint.md, without any code of medseal.

Run ``python tests/vectors/tamper-fingerprint/generate.py`` in the root of the repository.
"""

import hashlib
import json
import struct
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import ChaCha20

HERE = Path(__file__).parent
KEY = bytes(range(32))
SALT = bytes(range(100, 116))
ROBUST = b"robust part"
ROWS, COLUMNS = 34, 5
VALUES = [[(7 * row + 3 * column) % 50 for column in range(COLUMNS)] for row in range(ROWS)]


def digest(values):
    domain = b"medseal/image-values/v1"
    header = f'{{"kind":"integer","shape":[1,{ROWS},{COLUMNS},1]}}'.encode()
    data = bytes(value for row in values for value in row)
    parts = b"".join(len(part).to_bytes(8, "big") + part for part in (header, data))
    return hashlib.sha256(len(domain).to_bytes(8, "big") + domain + parts).digest()


def stream(key, purpose, count):
    nonce = bytes(4) + purpose.to_bytes(12, "big")
    data = Cipher(ChaCha20(key, nonce), mode=None).encryptor().update(bytes(8 * count))
    return struct.unpack(f"<{count}Q", data)


def keyed(data, key, size, person):
    return hashlib.blake2b(data, key=key, digest_size=size, person=person).digest()


def pair(key):
    return Ed25519PrivateKey.from_private_bytes(keyed(b"", key, 32, b"medseal-fp-sign"))


def body(values, key):
    image_key = keyed(SALT, key, 32, b"medseal-fp-key2")
    # 32 tiles a side at most: tiles of 2 rows and 1 column.
    down, across = ROWS // 2, COLUMNS
    factors, pads = stream(image_key, 0, 2), stream(image_key, 1, down * across)
    macs, textured = b"", ""
    for row in range(down):
        for column in range(across):
            tile = [values[2 * row][column], values[2 * row + 1][column]]
            pad = pads[row * across + column]
            total = (pad + sum(m * s for m, s in zip(factors, tile, strict=True))) % 2**64
            macs += (total >> 48).to_bytes(2, "big")
            places = [(2 * row, column), (2 * row + 1, column)]
            near = [(r + 1, c) for r, c in places] + [(r, c + 1) for r, c in places]
            differs = any(
                values[r][c] != values[r2][c2]
                for (r, c), (r2, c2) in zip(places * 2, near, strict=True)
                if r2 < ROWS and c2 < COLUMNS
            )
            textured += "1" if differs else "0"
    textured += "0" * (-len(textured) % 8)
    flags = int(textured, 2).to_bytes(len(textured) // 8, "big")
    name = b"MONOCHROME2"
    geometry = struct.pack(">IIIBBBBB", 1, ROWS, COLUMNS, 1, 8, 0, 1, len(name))
    robust = struct.pack(">H", len(ROBUST)) + ROBUST
    head = b"MFP\x02" + SALT + digest(values) + geometry + name
    return head + macs + flags + robust + pair(key).public_key().public_bytes_raw(), image_key


def signed(data, image_key, key):
    data += keyed(data, image_key, 16, b"medseal-fp-tag2")
    return data + pair(key).sign(data)


def write(name, data, **expected):
    value = {"key": KEY.hex(), "fingerprint": data.hex(), **expected}
    (HERE / f"{name}.json").write_text(json.dumps(value, indent=2) + "\n")


def changed(data, place, value):
    return data[:place] + value + data[place + len(value) :]


good, good_key = body(VALUES, KEY)
valid = signed(good, good_key, KEY)
# Behind the flags of the tiles: length and robust part, signer, tag, signature.
END = len(good) - 32 - len(ROBUST) - 2
edited = [row[:] for row in VALUES]
edited[20][3] += 1
write("valid", valid, values=VALUES, outcome="authentic")
write("edited", valid, values=edited, outcome="tampered", changed_tile=[20, 3, 2, 1])
write(
    "turned",
    valid,
    values=[list(line) for line in zip(*VALUES, strict=True)][::-1],
    outcome="transcoded",
)
REFUSED = {
    "version-1": (changed(valid, 3, b"\x01"), "not a fingerprint of version 2"),
    "other-version": (changed(valid, 3, b"\x03"), "not a fingerprint of version 2"),
    "empty": (b"", "not a fingerprint of version 2"),
    "cut": (valid[:-1], "cut or too long"),
    "trailing-byte": (valid + b"\0", "cut or too long"),
    "no-frames": (changed(valid, 52, bytes(4)), "geometry in the fingerprint is out of range"),
    "huge-geometry": (changed(valid, 52, b"\xff" * 12), "geometry in the fingerprint is out of"),
    "five-samples": (changed(valid, 64, b"\x05"), "geometry in the fingerprint is out of range"),
    "nine-bits-in-a-byte": (changed(valid, 65, b"\x09"), "kind of number"),
    "unknown-kind": (changed(valid, 66, b"\x03"), "out of range"),
    "three-bytes-a-value": (changed(valid, 67, b"\x03"), "kind of number"),
    "lower-case-name": (changed(valid, 69, b"m"), "names no photometric interpretation"),
    "unused-bit": (changed(valid, END - 1, bytes([valid[END - 1] | 1])), "unused bits"),
    "robust-too-long": (changed(valid, END, b"\xff\xff"), "cut or too long"),
    "robust-stripped": (
        good[:END] + bytes(2) + valid[END + 2 + len(ROBUST) :],
        "damaged or was made with another key",
    ),
    "robust-changed": (changed(valid, END + 2, b"R"), "damaged or was made with another key"),
    "signer-changed": (
        signed(changed(good, len(good) - 32, bytes(32)), good_key, KEY),
        "its signature does not fit",
    ),
    "salt-changed": (changed(valid, 4, b"\0"), "damaged or was made with another key"),
    "mac-changed": (changed(valid, 90, bytes([valid[90] ^ 1])), "damaged or was made with another"),
    "tag-changed": (
        changed(valid, len(good), bytes([valid[len(good)] ^ 1])),
        "damaged or was made with another key",
    ),
    "signature-changed": (valid[:-64] + bytes([valid[-64] ^ 1]) + valid[-63:], "its signature"),
    "signed-by-another": (
        good + valid[len(good) : len(good) + 16] + pair(bytes(32)).sign(valid[:-64]),
        "its signature does not fit",
    ),
    "another-key": (
        signed(*body(VALUES, bytes(32)), bytes(32)),
        "damaged or was made with another key",
    ),
}
for name, (data, message) in REFUSED.items():
    write(name, data, error="FingerprintError", message=message)
