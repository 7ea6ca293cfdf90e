"""`medseal release`: write a de-identified, watermarked copy for somebody."""

from pathlib import Path

import click

from medseal.cli.options import FILE, Common, common, emit, option, say
from medseal.errors import ConfigurationError
from medseal.pipeline.cipher import CIPHER_FORMS, NO_CLAIM
from medseal.pipeline.release import ReleaseOutcome, ReleaseRequest, release
from medseal.pipeline.workspace import OWNER, Workspace
from medseal.protection.encryption import Recipient


@click.command(name="release")
@click.argument("image_id")
@option("--to", "recipient", required=True, help="Name of whom the copy is for.")
@option("--output", type=FILE, required=True, help="File to write; its suffix is the format.")
@option("--as", "name", default=OWNER, show_default=True, help="Name of who releases.")
@option("--purpose", help="Purpose of the grant, if it has one.")
@option("--allow-burned-in", is_flag=True, help="Release even if text is declared in the pixels.")
@option(
    "--cipher",
    type=click.Choice(CIPHER_FORMS),
    help="Write a cipher image, and OUTPUT.key, the sealed package that opens it.",
)
@option(
    "--recipient",
    "keys",
    multiple=True,
    help="medseal1...: who opens the cipher image; repeatable.",
)
@common
def command(  # noqa: PLR0913 (one parameter an option)
    options: Common,
    *,
    image_id: str,
    recipient: str,
    output: Path,
    name: str,
    purpose: str | None,
    allow_burned_in: bool,
    cipher: str | None,
    keys: tuple[str, ...],
) -> None:
    """Write a de-identified copy of IMAGE_ID that carries an invisible watermark.

    The watermark names this release. It is no proof of integrity: 'medseal verify' compares with
    the record. The file keeps, encrypted, what takes the watermark out again: 'medseal open FILE'.

    With --cipher the file is a cipher image that only the recipients can open: 'medseal cipher
    decrypt FILE --package FILE.key' gives the copy itself. No security claim rests on a learned
    method: confidentiality and integrity come from the sealed package around it.

    JSON: release_id, file, psnr_db, ssim, side_information_bytes (0: not in the file), image_id,
    receipt; with --cipher also cipher, package, note.
    """
    if keys and cipher is None:
        raise ConfigurationError("--recipient goes with --cipher; add --cipher integer")
    with Workspace.open(options.workspace, options.passphrase(), node=options.node) as workspace:
        request = ReleaseRequest(
            image_id=image_id,
            to=recipient,
            name=name,
            purpose=purpose,
            allow_burned_in=allow_burned_in,
            cipher=cipher,
            recipients=tuple(Recipient.parse(text) for text in keys),
        )
        outcome = release(workspace, request, output)
    emit(
        options,
        {
            "release_id": outcome.release_id,
            "file": str(outcome.file),
            "psnr_db": round(outcome.psnr_db, 3),
            "ssim": round(outcome.ssim, 5),
            "side_information_bytes": outcome.side_information_bytes,
            "image_id": outcome.image_id,
            "receipt": str(outcome.receipt),
            **_cipher_fields(cipher, outcome),
        },
        f"Release {outcome.release_id} for '{recipient}': {outcome.file}\n"
        f"PSNR {outcome.psnr_db:.1f} dB, SSIM {outcome.ssim:.4f}; "
        f"data elements changed: {len(outcome.deidentification.entries)}; "
        f"{outcome.side_information_bytes} bytes of side information; "
        f"receipt {outcome.receipt}"
        + (f"\nCipher image, opened by {outcome.package}. {NO_CLAIM}" if cipher else ""),
    )
    if not outcome.side_information_bytes:
        say(
            f"{outcome.file}: the side information is too large for the file; "
            f"'medseal open {outcome.image_id}' gives the original from the vault"
        )


def _cipher_fields(cipher: str | None, outcome: ReleaseOutcome) -> dict[str, object]:
    if cipher is None:
        return {}
    return {"cipher": cipher, "package": str(outcome.package), "note": NO_CLAIM}
