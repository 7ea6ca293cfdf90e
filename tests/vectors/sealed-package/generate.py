"""Write the test vectors of docs/spec/sealed-package.md, without any code of medseal.

Run ``python tests/vectors/sealed-package/generate.py`` in the root of the repository. Every
secret here is public and derived from a label, so that the files come out the same each time.
"""

import hashlib
import hmac
import struct
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

FOLDER = Path(__file__).parent
CHUNK_LOG2 = 10
CHUNK = 1 << CHUNK_LOG2
SEALED_CHUNK = CHUNK + 16
FIXED_SIZE = 45
X25519_SIZE = 81
IMAGE_PROFILE = (
    b'{"bits_stored":12,"columns":512,"frames":1,'
    b'"image_id":"img-0000000000000001","rows":512,"samples":1,"v":1}'
)


def fixed(label: str, count: int = 32) -> bytes:
    """Return bytes that look random and depend on the label only."""
    blocks = (
        hashlib.sha256(f"medseal test vector/{label}/{n}".encode()).digest()
        for n in range(count // 32 + 1)
    )
    return b"".join(blocks)[:count]


def hkdf(secret: bytes, salt: bytes, info: bytes) -> bytes:
    return HKDF(SHA256(), 32, salt, info).derive(secret)


def public(secret: bytes) -> bytes:
    return X25519PrivateKey.from_private_bytes(secret).public_key().public_bytes_raw()


PHRASE = "correct horse"
OWNER = fixed("owner")
GUEST = fixed("guest")
OTHER = fixed("other")


def x25519_wrap(file_key: bytes, recipient: bytes, label: str = "ephemeral") -> bytes:
    ephemeral = fixed(label)
    shared = X25519PrivateKey.from_private_bytes(ephemeral).exchange(
        X25519PublicKey.from_public_bytes(recipient)
    )
    key = hkdf(shared, public(ephemeral) + recipient, b"medseal/package/v1/x25519")
    return b"\x01" + public(ephemeral) + AESGCM(key).encrypt(bytes(12), file_key, None)


def scrypt_wrap(file_key: bytes, passphrase: str, log_n: int = 10) -> bytes:
    salt = fixed("scrypt salt", 16)
    key = hashlib.scrypt(
        unicodedata.normalize("NFC", passphrase).encode(),
        salt=b"medseal/package/v1/scrypt" + salt,
        n=1 << log_n,
        r=8,
        p=1,
        maxmem=2**31 - 1,
        dklen=32,
    )
    return b"\x02" + salt + bytes((log_n,)) + AESGCM(key).encrypt(bytes(12), file_key, None)


@dataclass(frozen=True, kw_only=True)
class Draft:
    """Everything that goes into a package, right or wrong."""

    plaintext: bytes = fixed("plaintext", 2500)
    associated_data: bytes = b"vector"
    file_key: bytes = fixed("file key")
    nonce: bytes = fixed("nonce", 16)
    magic: bytes = b"medseal-package\x00"
    version: int = 1
    suite: int = 1
    chunk_log2: int = CHUNK_LOG2
    stated_bytes: int | None = None
    stated_extra: int | None = None
    count: int | None = None
    wraps: tuple[bytes, ...] = field(
        default_factory=lambda: (x25519_wrap(fixed("file key"), public(OWNER)),)
    )
    final: tuple[int, ...] | None = None

    def core(self) -> bytes:
        length = len(self.plaintext) if self.stated_bytes is None else self.stated_bytes
        extra = len(self.associated_data) if self.stated_extra is None else self.stated_extra
        start = self.magic + bytes((self.version, self.suite, self.chunk_log2)) + self.nonce
        return start + struct.pack(">QH", length, extra) + self.associated_data

    def header(self) -> bytes:
        count = len(self.wraps) if self.count is None else self.count
        return self.core() + bytes((count,)) + b"".join(self.wraps)

    def mac(self) -> bytes:
        key = hkdf(self.file_key, b"", b"medseal/package/v1/header")
        return hmac.new(key, self.header(), "sha256").digest()

    def chunks(self) -> list[bytes]:
        size = 1 << self.chunk_log2
        pieces = [self.plaintext[i : i + size] for i in range(0, len(self.plaintext), size)] or [
            b""
        ]
        final = self.final or tuple(int(i == len(pieces) - 1) for i in range(len(pieces)))
        cipher = AESGCM(
            hkdf(self.file_key, self.nonce, b"medseal/package/v1/payload" + self.core())
        )
        return [
            cipher.encrypt(i.to_bytes(11, "big") + bytes((final[i],)), piece, None)
            for i, piece in enumerate(pieces)
        ]

    def package(self) -> bytes:
        return self.header() + self.mac() + b"".join(self.chunks())


BASE = Draft()
ONE_CHUNK = Draft(plaintext=fixed("plaintext", 100))
BY_PASSPHRASE = replace(ONE_CHUNK, wraps=(scrypt_wrap(BASE.file_key, PHRASE),))
BY_OWNER = f"identity-secret: {OWNER.hex()}"
BY_PHRASE = f"passphrase: {PHRASE}"


@dataclass(frozen=True, kw_only=True)
class Vector:
    name: str
    comment: str
    data: bytes
    expect: str
    unlock: str = BY_OWNER
    draft: Draft | None = None

    def text(self) -> str:
        lines = [f"expect: {self.expect}", f"comment: {self.comment}", self.unlock]
        if self.draft is not None:
            lines.append(f"associated-data: {self.draft.associated_data.hex()}")
            lines.append(f"plaintext-sha256: {hashlib.sha256(self.draft.plaintext).hexdigest()}")
        digits = self.data.hex()
        body = [digits[i : i + 96] for i in range(0, len(digits), 96)]
        return "\n".join([*lines, "", *body]) + "\n"


def table(expect: str, cases: dict[str, tuple[str, bytes]]) -> Iterator[Vector]:
    """Yield one vector for the owner for each case: its comment and its bytes."""
    for name, (comment, data) in cases.items():
        yield Vector(name=name, comment=comment, data=data, expect=expect)


def flip(data: bytes, offset: int) -> bytes:
    """Return the data with the lowest bit of one byte turned over."""
    changed = bytearray(data)
    changed[offset] ^= 1
    return bytes(changed)


def successes() -> Iterator[Vector]:
    wraps = tuple(
        x25519_wrap(BASE.file_key, public(secret), f"ephemeral {i}")
        for i, secret in enumerate((GUEST, OWNER, OTHER))
    )
    drafts = {
        "empty-plaintext": ("One empty chunk.", replace(BASE, plaintext=b"")),
        "one-byte": ("The smallest chunk with content.", replace(BASE, plaintext=b"\x00")),
        "one-full-chunk": ("No empty chunk follows.", replace(BASE, plaintext=bytes(CHUNK))),
        "two-full-chunks": ("No empty chunk follows.", replace(BASE, plaintext=bytes(2 * CHUNK))),
        "three-chunks": ("The last chunk is short.", BASE),
        "largest-chunk-size": ("Chunks of 1 MiB.", replace(ONE_CHUNK, chunk_log2=20)),
        "no-associated-data": ("Nothing in the open.", replace(BASE, associated_data=b"")),
        "longest-associated-data": (
            "4096 bytes.",
            replace(ONE_CHUNK, associated_data=fixed("associated", 4096)),
        ),
        "image-profile": (
            "Associated data of the medseal image profile.",
            replace(ONE_CHUNK, associated_data=IMAGE_PROFILE),
        ),
        "second-of-three-recipients": ("Wraps are tried in turn.", replace(BASE, wraps=wraps)),
    }
    for name, (comment, draft) in drafts.items():
        yield Vector(
            name=name, comment=comment, data=draft.package(), expect="success", draft=draft
        )
    yield Vector(
        name="passphrase",
        comment="scrypt with N = 2**10.",
        data=BY_PASSPHRASE.package(),
        expect="success",
        unlock=BY_PHRASE,
        draft=BY_PASSPHRASE,
    )
    composed = replace(ONE_CHUNK, wraps=(scrypt_wrap(BASE.file_key, "Schl\u00fcssel"),))
    yield Vector(
        name="passphrase-decomposed",
        comment="Sealed with a composed u umlaut, opened with a decomposed one.",
        data=composed.package(),
        expect="success",
        unlock="passphrase: Schlu\u0308ssel",
        draft=composed,
    )


def truncated() -> Iterator[Vector]:
    whole = BASE.package()
    header_size = len(BASE.header())
    cuts = {
        "truncated-to-nothing": ("An empty file.", 0),
        "truncated-in-magic": ("Seven bytes.", 7),
        "truncated-before-version": ("The magic alone.", 16),
        "truncated-in-lengths": ("Inside the fixed fields.", FIXED_SIZE - 1),
        "truncated-in-associated-data": ("One byte of it.", FIXED_SIZE + 1),
        "truncated-before-wrap-count": ("No count.", FIXED_SIZE + 6),
        "truncated-in-wrap": ("Inside the sealed key.", header_size - 1),
        "truncated-before-mac": ("The header without MAC.", header_size),
        "truncated-in-mac": ("One byte short.", header_size + 31),
        "truncated-before-chunks": ("The header alone.", header_size + 32),
        "truncated-at-chunk": ("After the second of three.", header_size + 32 + 2 * SEALED_CHUNK),
        "truncated-in-last-chunk": ("One byte short.", len(whole) - 1),
    }
    cases = {name: (comment, whole[:size]) for name, (comment, size) in cuts.items()}
    yield from table("TruncatedPackageError", cases)


def malformed() -> Iterator[Vector]:
    own = BASE.wraps[0]
    locked = scrypt_wrap(BASE.file_key, PHRASE)
    field_prime = 2**255 - 19
    orders = {
        "zero": 0,
        "one": 1,
        "order-8-first": 0xB8495F16056286FDB1329CEB8D09DA6AC49FF1FAE35616AEB8413B7C7AEBE0,
        "order-8-second": 0x57119FD0DD4E22D8868E1C58C45C44045BEF839C55B1D0B1248C50A3BC959C5F,
        "minus-one": field_prime - 1,
        "non-canonical-prime": field_prime,
        "non-canonical-prime-plus-nine": field_prime + 9,
        "non-canonical-high-bit": 9 + 2**255,
    }
    drafts = {
        "magic-wrong": ("Another file type.", replace(BASE, magic=b"medseal-packagE\x00")),
        "version-zero": ("There never was one.", replace(BASE, version=0)),
        "version-unknown": ("From the future.", replace(BASE, version=2)),
        "suite-unknown": ("From the future.", replace(BASE, suite=2)),
        "chunk-size-too-small": ("2**9.", replace(ONE_CHUNK, chunk_log2=9)),
        "chunk-size-too-large": ("2**21.", replace(ONE_CHUNK, chunk_log2=21)),
        "chunk-size-absurd": ("2**40.", replace(ONE_CHUNK, chunk_log2=40)),
        "plaintext-length-too-large": ("2**36 + 1.", replace(BASE, stated_bytes=2**36 + 1)),
        "plaintext-length-largest-number": ("2**64 - 1.", replace(BASE, stated_bytes=2**64 - 1)),
        "associated-data-too-long": ("4097.", replace(BASE, associated_data=bytes(4097))),
        "associated-data-length-too-large": ("Stated.", replace(BASE, stated_extra=65535)),
        "no-wraps": ("Nobody could open it.", replace(BASE, wraps=())),
        "too-many-wraps": ("65.", replace(BASE, wraps=BASE.wraps * 65)),
        "wrap-type-zero": ("No such type.", replace(BASE, wraps=(b"\x00" + own[1:],))),
        "wrap-type-unknown": ("From the future.", replace(BASE, wraps=(b"\x03" + bytes(80),))),
        "passphrase-beside-recipient": ("Must be alone.", replace(BASE, wraps=(own, locked))),
        "passphrase-twice": ("Must be alone.", replace(BASE, wraps=(locked, locked))),
        **{
            f"point-{name}": (
                "An ephemeral key that must be refused.",
                replace(BASE, wraps=(b"\x01" + number.to_bytes(32, "little") + bytes(48),)),
            )
            for name, number in orders.items()
        },
        **{
            f"scrypt-work-factor-{log_n}": (
                f"N = 2**{log_n} lies outside the limits.",
                replace(BASE, wraps=(b"\x02" + bytes(16) + bytes((log_n,)) + bytes(48),)),
            )
            for log_n in (0, 9, 19, 26, 255)
        },
    }
    cases = {name: (comment, draft.package()) for name, (comment, draft) in drafts.items()}
    yield from table("HeaderFormatError", cases)
    empty_chunk = replace(BASE, plaintext=b"").chunks()[0]
    cases = {
        "trailing-byte": ("One byte after the last chunk.", BASE.package() + b"\x00"),
        "trailing-empty-chunk": ("A final chunk, empty.", BASE.package() + empty_chunk),
        "trailing-package": ("The same package once more.", BASE.package() * 2),
    }
    yield from table("HeaderFormatError", cases)


def changed_headers() -> Iterator[Vector]:
    tail = BASE.mac() + b"".join(BASE.chunks())
    guest = x25519_wrap(BASE.file_key, public(GUEST), "ephemeral guest")
    two = replace(BASE, wraps=(BASE.wraps[0], guest))
    two_tail = two.mac() + b"".join(two.chunks())
    short = replace(BASE, stated_bytes=CHUNK)
    one_tail = ONE_CHUNK.mac() + b"".join(ONE_CHUNK.chunks())
    other_key = fixed("other file key")
    other_data = replace(BASE, associated_data=b"vectoR")
    no_data = replace(BASE, associated_data=b"")
    cases = {
        "associated-data-changed": ("Those of another image.", other_data.header() + tail),
        "associated-data-emptied": ("With a fitting length.", no_data.header() + tail),
        "nonce-changed": ("One bit.", flip(BASE.header(), 19) + tail),
        "plaintext-length-changed": (
            "Cut at a chunk, with a fitting length.",
            short.header() + BASE.mac() + BASE.chunks()[0],
        ),
        "chunk-size-changed": (
            "2**11 instead of 2**10, same size in all.",
            replace(ONE_CHUNK, chunk_log2=11).header() + one_tail,
        ),
        "mac-changed": ("One bit.", BASE.header() + flip(tail, 31)),
        "mac-zero": ("All zero.", BASE.header() + bytes(32) + tail[32:]),
        "wrap-added": ("By somebody without the file key.", two.header() + tail),
        "wrap-removed": ("The guest's.", BASE.header() + two_tail),
        "wraps-swapped": (
            "Their order is authenticated too.",
            replace(BASE, wraps=(guest, BASE.wraps[0])).header() + two_tail,
        ),
        "wrap-of-another-package": (
            "Opens, but gives another file key.",
            replace(BASE, wraps=(x25519_wrap(other_key, public(OWNER)),)).header() + tail,
        ),
    }
    yield from table("HeaderAuthenticationError", cases)


def changed_payloads() -> Iterator[Vector]:
    start = BASE.header() + BASE.mac()
    first, second, last = BASE.chunks()
    other = replace(BASE, associated_data=b"second", plaintext=fixed("second plaintext", 2500))
    two_chunks = replace(BASE, plaintext=BASE.plaintext[: 2 * CHUNK])
    cases = {
        "chunks-reordered": ("The second first.", start + second + first + last),
        "chunk-duplicated": ("The first twice, no second.", start + first + first + last),
        "chunk-first-changed": ("One bit.", start + flip(first, 0) + second + last),
        "chunk-middle-changed": ("One bit.", start + first + flip(second, 700) + last),
        "chunk-last-changed": ("One bit.", start + first + second + flip(last, 0)),
        "chunk-tag-changed": ("One bit.", start + first + second + flip(last, len(last) - 1)),
        "two-final-chunks": (
            "The second of three is marked as final too.",
            replace(BASE, final=(0, 1, 1)).package(),
        ),
        "no-final-chunk": ("The last is not marked.", replace(BASE, final=(0, 0, 0)).package()),
        "header-of-another-image": (
            "A genuine header before the payload of another image, same file key.",
            other.header() + other.mac() + first + second + last,
        ),
        "payload-cut-by-recipient": (
            "A recipient shortened the payload and renewed the MAC, not the chunks.",
            two_chunks.header() + two_chunks.mac() + first + second,
        ),
    }
    yield from table("PayloadAuthenticationError", cases)


def wrong_keys() -> Iterator[Vector]:
    package = BASE.package()
    locked = BY_PASSPHRASE.package()
    wrap = FIXED_SIZE + len(BASE.associated_data) + 1
    no_match = "NoMatchingIdentityError"
    wrong = "WrongPassphraseError"
    guest = f"identity-secret: {GUEST.hex()}"
    cases = (
        ("identity-wrong", "Sealed for the owner.", package, no_match, guest),
        ("identity-for-passphrase", "Sealed otherwise.", locked, no_match, BY_OWNER),
        ("passphrase-for-recipient", "Sealed otherwise.", package, no_match, BY_PHRASE),
        ("ephemeral-changed", "One bit.", flip(package, wrap + 1), no_match, BY_OWNER),
        ("sealed-key-changed", "One bit.", flip(package, wrap + 33), no_match, BY_OWNER),
        ("passphrase-wrong", "One letter.", locked, wrong, "passphrase: correct Horse"),
        ("scrypt-salt-changed", "One bit.", flip(locked, wrap + 1), wrong, BY_PHRASE),
        ("scrypt-log-n-changed", "11 for 10.", flip(locked, wrap + 17), wrong, BY_PHRASE),
        (
            "scrypt-sealed-key-changed",
            "One bit.",
            flip(locked, wrap + 18),
            wrong,
            BY_PHRASE,
        ),
    )
    for name, comment, data, expect, unlock in cases:
        yield Vector(name=name, comment=comment, data=data, expect=expect, unlock=unlock)


def vectors() -> Iterator[Vector]:
    yield from successes()
    yield from truncated()
    yield from malformed()
    yield from changed_headers()
    yield from changed_payloads()
    yield from wrong_keys()


if __name__ == "__main__":
    for vector in vectors():
        (FOLDER / f"{vector.name}.txt").write_text(vector.text(), encoding="utf-8")
