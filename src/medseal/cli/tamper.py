"""`medseal tamper`: fingerprint a plain file, or check one against a fingerprint."""

from pathlib import Path

import click

from medseal.cli.keyfile import plain_file_key
from medseal.cli.options import FILE, Common, argument_file, common, emit, option
from medseal.cli.verify import regions_as_json
from medseal.imaging import read
from medseal.imaging.files import read_file, write_file
from medseal.pipeline.verify import Verdict
from medseal.protection.tamper import MAX_FINGERPRINT_BYTES, Fingerprint, check, fingerprint


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
    record = fingerprint(read(file), key).to_bytes()
    write_file(record, output)
    emit(
        options,
        {"file": str(file), "fingerprint": str(output), "size_bytes": len(record)},
        f"{output}: {len(record)} bytes; keep it as you keep the image",
    )


@command.command(name="check")
@argument_file("file")
@option("--fingerprint", "record", type=FILE, required=True, help="Fingerprint of the original.")
@option("--key-file", type=FILE, help="64 hexadecimal digits; else the workspace's key.")
@common
def check_command(options: Common, file: Path, record: Path, key_file: Path | None) -> int:
    """Compare FILE with a fingerprint; exit codes as for 'medseal verify'."""
    key = plain_file_key(options, key_file, lambda keys: keys.fingerprint)
    original = Fingerprint.from_bytes(read_file(record, limit_bytes=MAX_FINGERPRINT_BYTES))
    report = check(read(file), original, key)
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
            "model_id": report.model_id,
        },
        "\n".join(
            [f"{file}: {verdict.upper()}"]
            + [f"  {outcome:8} {name}: {detail}" for name, outcome, detail in report.checks]
            + [
                f"  changed: {region.height} x {region.width} "
                f"at row {region.row}, column {region.column}"
                for region in report.regions
            ]
        ),
    )
    return verdict.exit_code
