"""`medseal cipher`: encrypt a plain file as a sealed package, and decrypt it."""

from pathlib import Path

import click

from medseal.cli.options import FILE, Common, argument_file, common, emit, option
from medseal.errors import PackageError
from medseal.imaging.files import check_output, read_file, write_file
from medseal.pipeline.workspace import Workspace
from medseal.protection.encryption import (
    Identity,
    PassphraseIdentity,
    PassphraseRecipient,
    Recipient,
    ScryptWrap,
    SealedPackage,
    seal,
)
from medseal.protection.encryption import open as open_package

# Tells these packages from those of images, so that neither passes for the other.
_CONTEXT = b"medseal/plain-file/v1"


@click.group(name="cipher")
def command() -> None:
    """Encrypt a plain file as a sealed package (AES-256-GCM), and decrypt it."""


@command.command(name="encrypt")
@argument_file("file")
@option("--output", type=FILE, required=True, help="Package to write.")
@option("--recipient", "recipients", multiple=True, help="medseal1...; may be repeated.")
@common
def encrypt_command(options: Common, file: Path, output: Path, recipients: tuple[str, ...]) -> None:
    """Encrypt FILE for recipients, or for the passphrase when none is given."""
    check_output(output)
    data = read_file(file)
    wraps = (
        [Recipient.parse(text) for text in recipients]
        if recipients
        else [PassphraseRecipient(options.passphrase(confirm=True))]
    )
    package = seal(data, wraps, associated_data=_CONTEXT).to_bytes()
    write_file(package, output)
    emit(
        options,
        {"file": str(output), "size_bytes": len(package), "recipients": len(recipients)},
        f"{output}: {len(package)} bytes",
    )


@command.command(name="decrypt")
@argument_file("file")
@option("--output", type=FILE, required=True, help="File to write.")
@common
def decrypt_command(options: Common, file: Path, output: Path) -> None:
    """Decrypt FILE with its passphrase, or with the identity of the workspace."""
    check_output(output)
    package = _parsed(file)
    if any(isinstance(wrap, ScryptWrap) for wrap in package.header.wraps):
        data = _opened(file, package, PassphraseIdentity(options.passphrase()))
    else:
        with Workspace.open(options.workspace, options.passphrase()) as workspace:
            data = _opened(file, package, workspace.identity)
    write_file(data, output)
    emit(
        options,
        {"file": str(output), "size_bytes": len(data)},
        f"{output}: {len(data)} bytes",
    )


def _parsed(file: Path) -> SealedPackage:
    try:
        return SealedPackage.from_bytes(read_file(file))
    except PackageError as error:
        raise type(error)(f"{file}: {error}; fetch the package again") from error


def _opened(file: Path, package: SealedPackage, identity: Identity | PassphraseIdentity) -> bytes:
    try:
        return open_package(package, identity)
    except PackageError as error:
        raise type(error)(f"{file}: {error}") from error
