"""Make the vectors of encrypted attributes with the `openssl` program, which medseal does not use.

The keys here are published with the tests: they protect nothing.

    python tests/vectors/encrypted-attributes/generate.py
"""

import struct
import subprocess
from pathlib import Path

FOLDER = Path(__file__).parent
# Each vector: arguments of `openssl cms -encrypt`.
ENVELOPES = {
    "valid": ("-aes256",),
    "valid-aes128": ("-aes128",),
    "streamed": ("-aes256", "-stream"),
    "triple-des": ("-des3",),
    "oaep": ("-aes256", "-keyopt", "rsa_padding_mode:oaep"),
}


def element(tag: tuple[int, int], vr: bytes, value: bytes) -> bytes:
    """Return one element in Explicit VR Little Endian (PS3.5, 7.1.2), padded to an even length."""
    value += (b"\0" if vr in {b"OB", b"SQ", b"UI"} else b" ") * (len(value) % 2)
    if vr in {b"OB", b"SQ"}:
        return struct.pack("<HH2sHL", *tag, vr, 0, len(value)) + value
    return struct.pack("<HH2sH", *tag, vr, len(value)) + value


def plain() -> bytes:
    """Return an Encrypted Attributes Data Set (PS3.3 table C.12-7), written by hand."""
    inside = (
        element((0x0008, 0x0018), b"UI", b"1.2.3.4")
        + element((0x0010, 0x0010), b"PN", b"Vector^Test")
        + element((0x0010, 0x0020), b"LO", b"ODD")
        + element((0x0042, 0x0011), b"OB", b"no tag covers this. " * 4)
    )
    item = struct.pack("<HHL", 0xFFFE, 0xE000, len(inside)) + inside
    return element((0x0400, 0x0550), b"SQ", item)


def openssl(*arguments: str | Path) -> None:
    """Run the program in this folder."""
    command = ["openssl", *map(str, arguments)]
    subprocess.run(command, cwd=FOLDER, check=True, capture_output=True)  # noqa: S603  our own words


def make_recipient(name: str, bits: int) -> None:
    """Write a key and a certificate that it signs itself, unless they are there."""
    if (FOLDER / f"{name}.pem").exists():
        return
    openssl(
        *("req", "-x509", "-newkey", f"rsa:{bits}", "-noenc", "-days", "36500"),
        *("-subj", f"/CN={name}", "-keyout", f"{name}.key.pem", "-out", f"{name}.pem"),
    )


def main() -> None:
    """Write keys, certificates and envelopes."""
    make_recipient("first", 3072)
    make_recipient("second", 3072)
    make_recipient("short", 2048)
    (FOLDER / "short.key.pem").unlink(missing_ok=True)
    (FOLDER / "plain.bin").write_bytes(plain())
    for name, options in ENVELOPES.items():
        openssl(
            *("cms", "-encrypt", "-binary", "-in", "plain.bin", "-outform", "DER"),
            *("-out", f"{name}.der", "-recip", "first.pem", *options),
        )


if __name__ == "__main__":
    main()
