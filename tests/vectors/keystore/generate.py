"""Write the test vectors of docs/spec/keystore.md, without any code of medseal.

Run ``python tests/vectors/keystore/generate.py`` in the root of the repository.
"""

import hashlib
import runpy
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

FOLDER = Path(__file__).parent
PACKAGE = runpy.run_path(str(FOLDER.parent / "sealed-package" / "generate.py"))

START = b"medseal-keystore\x01"
LABEL = b"medseal/keystore/v1"
CONTENT = (
    b'{"secrets":{"identity/owner":"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",'
    b'"workspace/root":"/w=="},"v":1}'
)
EXPECTED = "identity/owner=" + bytes(range(32)).hex() + " workspace/root=ff"


def package(content: bytes, label: bytes = LABEL) -> bytes:
    draft = replace(PACKAGE["BY_PASSPHRASE"], plaintext=content, associated_data=label)
    return bytes(draft.package())


def file(encoded: bytes) -> bytes:
    return START + hashlib.sha256(encoded).digest() + encoded


def vectors() -> Iterator[tuple[str, str]]:
    """Yield the name and the text of each vector."""
    phrase = PACKAGE["PHRASE"]
    sound = file(package(CONTENT))
    locked = package(CONTENT)
    for_owner = replace(PACKAGE["ONE_CHUNK"], plaintext=CONTENT, associated_data=LABEL).package()

    def content(text: bytes) -> bytes:
        return file(package(text))

    damaged = "KeystoreError"
    cases = {
        "two-secrets": ("success", EXPECTED, sound),
        "empty": ("success", "", content(b'{"secrets":{},"v":1}')),
        "nothing": (damaged, "An empty file.", b""),
        "version-unknown": (damaged, "From the future.", START[:-1] + b"\x02" + sound[17:]),
        "bare-package": (damaged, "No start, no checksum.", locked),
        "truncated": (damaged, "One byte short.", sound[:-1]),
        "trailing-byte": (damaged, "One byte more.", sound + b"\x00"),
        "bit-flipped": (damaged, "Without a new checksum.", PACKAGE["flip"](sound, 150)),
        "mac-changed": (
            damaged,
            "With a new checksum.",
            file(PACKAGE["flip"](locked, len(locked) - len(CONTENT) - 17)),
        ),
        "chunk-changed": (
            damaged,
            "With a new checksum.",
            file(PACKAGE["flip"](locked, len(locked) - 1)),
        ),
        "truncated-package": (damaged, "With a new checksum.", file(locked[:-1])),
        "image-package": (damaged, "Other associated data.", file(package(CONTENT, b"image"))),
        "for-recipient": (damaged, "Not under a passphrase.", file(bytes(for_owner))),
        "content-not-json": (damaged, "Not JSON.", content(b"secrets")),
        "content-not-canonical": (damaged, "A space.", content(CONTENT.replace(b":1}", b": 1}"))),
        "content-no-table": (damaged, "A list.", content(b'{"secrets":[],"v":1}')),
        "content-version": (damaged, "v is 2.", content(b'{"secrets":{},"v":2}')),
        "content-extra-field": (damaged, "x.", content(b'{"secrets":{},"v":1,"x":1}')),
        "name-empty": (damaged, "No name.", content(b'{"secrets":{"":"/w=="},"v":1}')),
        "name-decomposed": (
            damaged,
            "Not in form NFC.",
            content('{"secrets":{"u\u0308":"/w=="},"v":1}'.encode()),
        ),
        "value-empty": (damaged, "No bytes.", content(b'{"secrets":{"a":""},"v":1}')),
        "value-number": (damaged, "Not text.", content(b'{"secrets":{"a":1234},"v":1}')),
        "value-not-base64": (damaged, "A digit less.", content(b'{"secrets":{"a":"/w="},"v":1}')),
        "value-loose-bits": (damaged, "Not zero.", content(b'{"secrets":{"a":"/x=="},"v":1}')),
        "passphrase-wrong": ("WrongPassphraseError", "One letter.", sound),
    }
    for name, (expect, comment, data) in cases.items():
        word = phrase.upper() if name == "passphrase-wrong" else phrase
        kind = "secrets" if expect == "success" else "comment"
        digits = data.hex()
        body = [digits[i : i + 96] for i in range(0, len(digits), 96)]
        lines = [
            f"expect: {expect}",
            f"{kind}: {comment}".rstrip(),
            f"passphrase: {word}",
            "",
            *body,
        ]
        yield name, "\n".join(lines) + "\n"


if __name__ == "__main__":
    for vector, text in vectors():
        (FOLDER / f"{vector}.txt").write_text(text, encoding="utf-8")
