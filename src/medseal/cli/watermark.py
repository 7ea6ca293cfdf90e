"""`medseal watermark`: embed a watermark in a plain file, or extract one."""

from pathlib import Path

import click

from medseal.cli.keyfile import plain_file_key
from medseal.cli.options import FILE, Common, argument_file, common, emit, option
from medseal.errors import ConfigurationError
from medseal.imaging import read, write
from medseal.pipeline.fidelity import compare_images
from medseal.protection.watermark import embed, extract

UNVERIFIABLE = 3
_PAYLOAD_BYTES = 8


@click.group(name="watermark")
def command() -> None:
    """Embed a watermark in a plain file, or extract one. A mark is no proof of integrity."""


@command.command(name="embed")
@argument_file("file")
@option("--payload", required=True, help="16 hexadecimal digits.")
@option("--output", type=FILE, required=True, help="File to write; its suffix is the format.")
@option("--key-file", type=FILE, help="64 hexadecimal digits; else the workspace's key.")
@common
def embed_command(
    options: Common, file: Path, payload: str, output: Path, key_file: Path | None
) -> None:
    """Write a copy of FILE that carries the payload."""
    try:
        mark = bytes.fromhex(payload)
    except ValueError:
        mark = b""
    if len(mark) != _PAYLOAD_BYTES:
        raise ConfigurationError("--payload takes 16 hexadecimal digits")
    key = plain_file_key(options, key_file, lambda keys: keys.watermark)
    cover = read(file)
    marked = embed(cover, mark, key)
    write(marked, output)
    quality = compare_images(cover, marked)
    emit(
        options,
        {
            "file": str(output),
            "payload": mark.hex(),
            "psnr_db": round(quality.psnr_db, 3),
            "ssim": round(quality.ssim, 5),
        },
        f"{output}: payload {mark.hex()}, PSNR {quality.psnr_db:.1f} dB, SSIM {quality.ssim:.4f}",
    )


@command.command(name="extract")
@argument_file("file")
@option("--key-file", type=FILE, help="64 hexadecimal digits; else the workspace's key.")
@common
def extract_command(options: Common, file: Path, key_file: Path | None) -> int:
    """Say whether FILE carries a mark of this key, and which. Exit code 3 when it does not."""
    key = plain_file_key(options, key_file, lambda keys: keys.watermark)
    found = extract(read(file), key)
    payload = found.payload.hex() if found.payload is not None else None
    emit(
        options,
        {
            "file": str(file),
            "detected": found.detected,
            "payload": payload,
            "bit_probabilities": [round(float(p), 4) for p in found.bit_probabilities],
            "false_positive_rate": found.false_positive_rate,
        },
        f"{file}: payload {payload}, false-positive rate {found.false_positive_rate:.1e}"
        if payload
        else f"{file}: no mark of this key",
    )
    return 0 if found.detected else UNVERIFIABLE
