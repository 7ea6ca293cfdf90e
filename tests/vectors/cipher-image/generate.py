"""Write the test vectors of docs/spec/cipher-image.md, without any code of medseal.

Run ``python tests/vectors/cipher-image/generate.py`` in the root of the repository. No security
claim rests on a learned method.
"""

import hashlib
import hmac
import json
import math
import struct
from pathlib import Path

HERE = Path(__file__).parent
ROUNDS = 6
BACKBONES = ("unet", "resnet", "autoencoder")
LAYERS = {
    "unet": {
        "enter": (288, 32),
        "down 1": (288, 32),
        "down 2": (288, 32),
        "up 1": (64, 32),
        "up 2": (64, 32),
    },
    "resnet": {"enter": (288, 32), "block 2": (288, 32)},
    "autoencoder": {
        "enter": (288, 64),
        "code": (64, 32),
        "decode": (32, 128),
        "refine": (288, 32),
    },
}
MASK32 = 0xFFFFFFFF


def quarter(state, a, b, c, d):
    for one, other, mixed, count in ((a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)):
        state[one] = (state[one] + state[other]) & MASK32
        turned = state[mixed] ^ state[one]
        state[mixed] = (turned << count | turned >> (32 - count)) & MASK32


def block(key, counter):
    """Return one block of ChaCha20 (RFC 8439, 2.3), its nonce zero."""
    first = [*struct.unpack("<4I", b"expand 32-byte k"), *struct.unpack("<8I", key), counter]
    first += [0, 0, 0]
    state = list(first)
    for _ in range(10):
        for i in range(4):
            quarter(state, i, i + 4, i + 8, i + 12)
        for i in range(4):
            quarter(state, i, 4 + (i + 1) % 4, 8 + (i + 2) % 4, 12 + (i + 3) % 4)
    return struct.pack("<16I", *((x + y) & MASK32 for x, y in zip(state, first, strict=True)))


class Stream:
    def __init__(self, key, nonce, purpose):
        secret = hmac.digest(nonce, key, hashlib.sha256)
        info = b"medseal/cipher/v1/integer/" + purpose.encode()
        self.key = hmac.digest(secret, info + b"\x01", hashlib.sha256)
        self.counter, self.rest = 0, b""

    def take(self, count):
        while len(self.rest) < count:
            self.rest += block(self.key, self.counter)
            self.counter += 1
        taken, self.rest = self.rest[:count], self.rest[count:]
        return taken

    def numbers(self, count, size):
        data = self.take(count * size)
        return [int.from_bytes(data[i : i + size], "little") for i in range(0, len(data), size)]

    def order(self, count):
        while True:
            ranks = self.numbers(count, 8)
            if len(set(ranks)) == count:
                return sorted(range(count), key=ranks.__getitem__)


def draw(stream, inputs, outputs):
    flat = [byte % 128 - 64 for byte in stream.take(inputs * outputs)]
    rows = [flat[i * outputs : (i + 1) * outputs] for i in range(inputs)]
    return [list(column) for column in zip(*rows, strict=True)], stream.numbers(outputs, 2)


def sums(layer, seen):
    columns, bias = layer
    return [
        start + sum(map(int.__mul__, column, seen))
        for column, start in zip(columns, bias, strict=True)
    ]


def fold8(sum_):
    return (sum_ ^ sum_ >> 8) & 255


def mix(layer, grid):
    return [[[fold8(s) for s in sums(layer, place)] for place in row] for row in grid]


def convolve(layer, grid, stride=1):
    p, q = len(grid), len(grid[0])
    result = []
    for y in range(0, p, stride):
        result.append([])
        for x in range(0, q, stride):
            seen = []
            for down in (-1, 0, 1):
                for right in (-1, 0, 1):
                    seen += grid[(y + down) % p][(x + right) % q]
            result[-1].append([fold8(s) for s in sums(layer, seen)])
    return result


def both(first, second, operation):
    return [
        [operation(a, b) for a, b in zip(one, other, strict=True)]
        for one, other in zip(first, second, strict=True)
    ]


def add(first, second):
    return both(first, second, lambda a, b: [(m + n) & 255 for m, n in zip(a, b, strict=True)])


def join(first, second):
    return both(first, second, lambda a, b: a + b)


def pool(grid):
    places = range(0, len(grid), 2), range(0, len(grid[0]), 2)
    return [
        [
            [
                sum(values) & 255
                for values in zip(
                    grid[y][x], grid[y][x + 1], grid[y + 1][x], grid[y + 1][x + 1], strict=True
                )
            ]
            for x in places[1]
        ]
        for y in places[0]
    ]


def up(grid):
    return [[grid[y // 2][x // 2] for x in range(2 * len(grid[0]))] for y in range(2 * len(grid))]


def space(grid):
    def place(y, x):
        part = 2 * (y % 2) + x % 2
        return grid[y // 2][x // 2][32 * part : 32 * part + 32]

    return [[place(y, x) for x in range(2 * len(grid[0]))] for y in range(2 * len(grid))]


def body(backbone, layer, x):
    if backbone == "resnet":
        y = add(x, convolve(layer["enter"], x))
        return add(y, convolve(layer["block 2"], y))
    if backbone == "autoencoder":
        code = mix(layer["code"], convolve(layer["enter"], x, 2))
        return convolve(layer["refine"], space(mix(layer["decode"], code)))
    f = convolve(layer["enter"], x)
    h = convolve(layer["down 1"], pool(f))
    q = convolve(layer["down 2"], pool(h))
    h = mix(layer["up 1"], join(h, up(q)))
    return mix(layer["up 2"], join(f, up(h)))


def words(backbone, half, size, stream):
    cells = max(1, math.ceil(size / 64))
    q = next(q for q in range(4, 4096, 4) if q * q >= cells)
    p = next(p for p in range(4, 4096, 4) if p * q >= cells)
    sizes = {"stem": (64, 32), **LAYERS[backbone], "head": (32, 64)}
    layer = {name: draw(stream, *size) for name, size in sizes.items()}
    context, _ = draw(stream, 32, sizes["enter"][1])
    factors = [number | 1 for number in stream.numbers(32, 2)]
    order = stream.order(p * q)
    filled = half + bytes(64 * p * q - len(half))
    moved = b"".join(filled[64 * i : 64 * i + 64] for i in order)
    seen = bytes(a ^ b for a, b in zip(moved, stream.take(len(moved)), strict=True))
    grid = [[list(seen[64 * (y * q + x) :][:64]) for x in range(q)] for y in range(p)]

    x = mix(layer["stem"], grid)
    total = [sum(place[c] for row in x for place in row) % 2**16 for c in range(32)]
    columns, bias = layer["enter"]
    added = [sum(map(int.__mul__, column, total)) % 2**16 for column in context]
    layer["enter"] = columns, [one + other for one, other in zip(bias, added, strict=True)]
    result = b""
    for row in body(backbone, layer, x):
        for place in row:
            s = sums(layer["head"], place)
            for k in range(32):
                j = s[k] + 32 * s[k + 32]
                w = (j ^ j >> 11) * factors[k] % 2**16
                result += struct.pack("<H", w ^ w >> 8)
    return result


def encrypt(values, width, key, nonce, backbone):
    """Return the bytes of the cipher image of unsigned values of `width` bytes each."""
    middle = (len(values) + 1) // 2
    halves = [values[:middle], values[middle:]]

    def to_bytes(half):
        return b"".join(value.to_bytes(width, "little") for value in half)

    for t in range(2 * ROUNDS):
        source, target = (0, 1) if t % 2 == 0 else (1, 0)
        stream = Stream(key, nonce, f"{backbone}-{t}")
        found = words(backbone, to_bytes(halves[source]), middle * width, stream)
        halves[target] = [
            (value + int.from_bytes(found[width * i : width * i + width], "little"))
            % 2 ** (8 * width)
            for i, value in enumerate(halves[target])
        ]
    plain = to_bytes(halves[0] + halves[1])
    mask = Stream(key, nonce, "whitening").take(len(plain))
    return bytes(a ^ b for a, b in zip(plain, mask, strict=True))


def header_of(case, key, nonce, stored):
    photometric = case["photometric_interpretation"].encode()
    tag_key = Stream(key, nonce, "plain-tag").key
    data = b"medseal-cipher\x00" + bytes((1, 0, 1 + BACKBONES.index(case["backbone"]))) + nonce
    data += struct.pack(">3I", *case["shape"][:3]) + bytes((case["shape"][3],))
    data += bytes((8 * case["bytes_a_value"], case["bits_stored"], case["is_signed"]))
    data += bytes((len(photometric),)) + photometric + bytes((1, ROUNDS))
    data += hmac.digest(tag_key, stored, hashlib.sha256)
    data += hmac.digest(Stream(key, nonce, "header-tag").key, data, hashlib.sha256)[:16]
    return data + hashlib.sha256(data).digest()[:8]


SHAPES = (
    ((1, 1, 1, 1), 2, False, "MONOCHROME2"),
    ((1, 1, 2, 1), 1, False, "MONOCHROME1"),
    ((1, 3, 5, 1), 2, True, "MONOCHROME2"),
    ((1, 9, 7, 3), 1, False, "RGB"),
    ((3, 4, 6, 1), 2, False, "MONOCHROME2"),
    ((1, 1, 257, 1), 1, True, "MONOCHROME2"),
    ((1, 33, 37, 1), 2, False, "MONOCHROME2"),
)


def case_of(number):
    shape, width, is_signed, photometric = SHAPES[number % len(SHAPES)]
    chance = Stream(bytes(32), number.to_bytes(16, "big"), "test-vector")
    count = math.prod(shape)
    bits = 8 * width if number % 2 else 8 * width - 3
    kind = number % 4
    values = [
        (0, chance.numbers(1, 2)[0] % 2**bits, 2**bits - 1, i % 2**bits)[kind] for i in range(count)
    ]
    key, nonce = chance.take(32), chance.take(16)
    case = {
        "expect": "success",
        "backbone": BACKBONES[number % 3],
        "shape": shape,
        "bytes_a_value": width,
        "bits_stored": 8 * width if is_signed else bits,
        "is_signed": is_signed,
        "photometric_interpretation": photometric,
        "key": key.hex(),
        "nonce": nonce.hex(),
    }
    stored = b"".join(value.to_bytes(width, "little") for value in values)
    case["stored_values"] = stored.hex()
    case["header"] = header_of(case, key, nonce, stored).hex()
    case["pixels"] = encrypt(values, width, key, nonce, case["backbone"]).hex()
    return case


def flipped(text, place):
    data = bytearray.fromhex(text)
    data[place] ^= 1
    return data.hex()


def write(name, case):
    (HERE / f"{name}.json").write_text(json.dumps(case, indent=1) + "\n")


def main():
    cases = [case_of(number) for number in range(20)]
    for number, case in enumerate(cases):
        write(f"valid-{number:02}", case)
    case = cases[3]
    write(
        "changed-pixel",
        case | {"expect": "CipherIntegrityError", "pixels": flipped(case["pixels"], 7)},
    )
    write("wrong-key", case | {"expect": "CipherKeyError", "key": flipped(case["key"], 31)})
    write(
        "damaged-header",
        case | {"expect": "CipherHeaderError", "header": flipped(case["header"], 40)},
    )
    write("cut-header", case | {"expect": "CipherHeaderError", "header": case["header"][:-2]})
    write("longer-header", case | {"expect": "CipherHeaderError", "header": case["header"] + "00"})
    forged = bytearray.fromhex(case["header"])[:-8]
    forged[41] ^= 1
    forged += hashlib.sha256(forged).digest()[:8]
    write("forged-rows", case | {"expect": "CipherKeyError", "header": forged.hex()})
    version = bytearray.fromhex(case["header"])[:-8]
    version[15] = 2
    version += hashlib.sha256(version).digest()[:8]
    write("unknown-version", case | {"expect": "CipherHeaderError", "header": version.hex()})
    write("other-shape", case | {"expect": "CipherHeaderError", "pixel_shape": (1, 7, 9, 3)})


if __name__ == "__main__":
    main()
