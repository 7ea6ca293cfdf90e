"""`medseal tamper`: fingerprint a plain file, or check one against a fingerprint."""

from pathlib import Path

import click

from medseal.cli.keyfile import plain_file_key
from medseal.cli.options import FILE, Common, argument_file, common, emit, option
from medseal.cli.verify import frames_as_json, regions_as_json, regions_as_text
from medseal.errors import ConfigurationError
from medseal.imaging import read
from medseal.imaging.files import read_file, write_file
from medseal.pipeline.verify import Verdict
from medseal.protection.tamper import (
    MAX_FINGERPRINT_BYTES,
    SIGNER_BYTES,
    Fingerprint,
    TamperReport,
    check,
    fingerprint,
)


@click.group(name="tamper")
def command() -> None:
    """Fingerprint a plain file, or check one against a fingerprint."""


@command.command(name="fingerprint")
@argument_file("file")
@option("--output", type=FILE, required=True, help="Fingerprint to write. It is patient data.")
@option("--key-file", type=FILE, help="64 hexadecimal digits; else the workspace's key.")
@common
def fingerprint_command(options: Common, file: Path, output: Path, key_file: Path | None) -> None:
    """Write the keyed fingerprint of FILE."""
    key = plain_file_key(options, key_file, lambda keys: keys.fingerprint)
    made = fingerprint(read(file), key)
    record, signer = made.to_bytes(), made.signer.hex()
    write_file(record, output)
    emit(
        options,
        {
            "file": str(file),
            "fingerprint": str(output),
            "size_bytes": len(record),
            "signer": signer,
        },
        f"{output}: {len(record)} bytes; keep it as you keep the image\n  signed by {signer}",
    )


@command.command(name="check")
@argument_file("file")
@option("--fingerprint", "record", type=FILE, required=True, help="Fingerprint of the original.")
@option("--key-file", type=FILE, help="64 hexadecimal digits; else the workspace's key.")
@option("--signer", help="Public key that made it, 64 hexadecimal digits; then no key is needed.")
@common
def check_command(
    options: Common, file: Path, record: Path, key_file: Path | None, signer: str | None
) -> int:
    """Compare FILE with a fingerprint; exit codes as for 'medseal verify'.

    With --signer and without a key file nothing secret is needed: equality in any orientation is
    proven, and any other copy is unverifiable.
    """
    trusted = _signer(signer)
    key = None
    if trusted is None or key_file is not None:
        key = plain_file_key(options, key_file, lambda keys: keys.fingerprint)
    original = Fingerprint.from_bytes(read_file(record, limit_bytes=MAX_FINGERPRINT_BYTES))
    report = check(read(file), original, key, signer=trusted)
    verdict = Verdict(report.outcome)
    emit(
        options,
        {
            "verdict": str(verdict),
            "score": round(report.score, 4),
            "checks": [
                {"name": name, "outcome": outcome, "detail": detail}
                for name, outcome, detail in report.checks
            ],
            "operations": list(report.operations),
            "regions": regions_as_json(report.regions),
            "frames": frames_as_json(report.frames),
            "mask_share": round(float(report.mask.mean()), 6),
            "proven_share": _proven_share(report),
            "model_id": report.model_id,
        },
        "\n".join(
            [f"{file}: {verdict.upper()}"]
            + [f"  {outcome:8} {name}: {detail}" for name, outcome, detail in report.checks]
            + [f"  operation: {operation}" for operation in report.operations]
            + regions_as_text(report.regions)
        ),
    )
    return verdict.exit_code


def _proven_share(report: TamperReport) -> float | None:
    """Return the share of the copy in tiles that are proven to have changed, if any was."""
    return None if report.proven is None else round(float(report.proven.mean()), 6)


def _signer(text: str | None) -> bytes | None:
    """Return the public key in an option, None where it was not given."""
    if text is None:
        return None
    try:
        signer = bytes.fromhex(text)
    except ValueError:
        signer = b""
    if len(signer) != SIGNER_BYTES:
        raise ConfigurationError(f"--signer takes {2 * SIGNER_BYTES} hexadecimal digits")
    return signer
