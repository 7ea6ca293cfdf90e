"""`medseal cipher`: encrypt a plain file as a sealed package or a cipher image, and decrypt it."""

from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import click
from rich.console import Console

from medseal.cli.keyfile import plain_file_key
from medseal.cli.options import FILE, Common, argument_file, common, emit, option, say
from medseal.errors import CipherError, ConfigurationError, PackageError
from medseal.imaging import encode, format_of, read
from medseal.imaging.files import check_output, read_file, write_file
from medseal.pipeline.cipher import (
    CIPHER_BACKBONES,
    CIPHER_FORMS,
    NO_CLAIM,
    Restored,
    cipher_image_in,
    decrypt_image,
    encode_cipher_image,
    encrypt_image,
    read_header_file,
)
from medseal.pipeline.release_cipher import open_cipher_release
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
from medseal.protection.encryption.cipher_image import CipherImage
from medseal.protection.encryption.header import MAGIC

# Tells these packages from those of images, so that neither passes for the other.
_CONTEXT = b"medseal/plain-file/v1"
_PACKAGE = "package"


@click.group(name="cipher")
def command() -> None:
    """Encrypt a plain file as a sealed package or a cipher image, and decrypt it.

    A sealed package (AES-256-GCM) is confidential and authentic. A cipher image is an ordinary
    image that passes through image archives and channels. No security claim rests on a learned
    method: confidentiality and integrity come from the sealed package around it.
    """


@command.command(name="encrypt")
@argument_file("file")
@option("--output", type=FILE, required=True, help="File to write; a cipher image: .png or .dcm.")
@option(
    "--form",
    type=click.Choice((_PACKAGE, *CIPHER_FORMS)),
    default=_PACKAGE,
    show_default=True,
    help="package: any file, sealed. The others: cipher images.",
)
@option("--recipient", "recipients", multiple=True, help="medseal1...; package; may be repeated.")
@option(
    "--backbone",
    type=click.Choice(CIPHER_BACKBONES),
    default=CIPHER_BACKBONES[0],
    show_default=True,
    help="Kind of network; integer, analog.",
)
@option(
    "--quality",
    type=click.IntRange(1, 100),
    default=70,
    show_default=True,
    help="Lowest JPEG quality to survive; digital.",
)
@option("--key-file", type=FILE, help="64 hexadecimal digits; else the workspace's key.")
@option("--header", "header_file", type=FILE, help="Write the header here too; cipher images.")
@common
def encrypt_command(  # noqa: PLR0913 (one parameter an option)
    options: Common,
    *,
    file: Path,
    output: Path,
    form: str,
    recipients: tuple[str, ...],
    backbone: str,
    quality: int,
    key_file: Path | None,
    header_file: Path | None,
) -> None:
    """Encrypt FILE for recipients, or for the passphrase when none is given.

    With --form integer, analog or digital FILE is an image and so is the output; anybody with the
    key can decrypt it. integer: bit exact, for storage that keeps every bit. digital: bit exact
    through JPEG down to --quality. analog: approximate, for damage of unknown strength.
    No security claim rests on a learned method: confidentiality and integrity come from the
    sealed package around it.

    JSON: file, size_bytes, recipients; or file, form, backbone, rows, columns, frames,
    size_bytes, header, note.
    """
    check_output(output)
    if form == _PACKAGE:
        if key_file is not None or header_file is not None:
            raise ConfigurationError(
                "--key-file and --header go with a cipher image; add --form integer, analog or "
                "digital"
            )
        _seal(options, file, output, recipients)
        return
    if recipients:
        raise ConfigurationError(f"--recipient goes with --form package, not {form}")
    if header_file is not None:
        check_output(header_file)
    image = read(file)
    key = plain_file_key(options, key_file, lambda keys: keys.cipher)
    with _busy(options, f"encrypting {image.frames} frames", frames=image.frames):
        cipher = encrypt_image(image, key, form=form, backbone=backbone, quality=quality)
        data = encode_cipher_image(cipher, output)
    write_file(data, output)
    if header_file is not None:
        write_file(cipher.header.to_bytes(), header_file)
    _report_cipher(options, output, cipher, len(data), header_file)


def _seal(options: Common, file: Path, output: Path, recipients: tuple[str, ...]) -> None:
    """Write a sealed package."""
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


def _report_cipher(
    options: Common, output: Path, cipher: CipherImage, size_bytes: int, header: Path | None
) -> None:
    frames, rows, columns, _ = cipher.stored_values.shape
    emit(
        options,
        {
            "file": str(output),
            "form": cipher.header.form,
            "backbone": cipher.header.backbone or None,
            "rows": rows,
            "columns": columns,
            "frames": frames,
            "size_bytes": size_bytes,
            "header": str(header) if header else None,
            "note": NO_CLAIM,
        },
        f"{output}: {cipher.header.form} cipher image of {rows} x {columns}, {size_bytes} bytes\n"
        f"{NO_CLAIM}",
    )


@command.command(name="decrypt")
@argument_file("file")
@option("--output", type=FILE, required=True, help="File to write; its suffix is the format.")
@option("--key-file", type=FILE, help="64 hexadecimal digits; else the workspace's key.")
@option("--header", "header_file", type=FILE, help="Header of a copy that lost its own.")
@option("--package", "package_file", type=FILE, help="FILE.key beside a released cipher image.")
@common
def decrypt_command(
    options: Common,
    *,
    file: Path,
    output: Path,
    key_file: Path | None,
    header_file: Path | None,
    package_file: Path | None,
) -> None:
    """Decrypt FILE: a sealed package or a cipher image.

    A package opens with its passphrase, or with the identity of the workspace. A cipher image
    opens with its key; one that lost its header on the way needs --header. A cipher image from
    'medseal release' opens with the package beside it and the identity of the workspace.
    No security claim rests on a learned method: confidentiality and integrity come from the
    sealed package around it.

    JSON: file, size_bytes; or file, form, exact, layer, estimated_psnr_db, size_bytes, note.
    """
    check_output(output)
    if package_file is not None:
        if key_file is not None or header_file is not None:
            raise ConfigurationError("--package holds key and header; leave the other two out")
        _open_release(options, file, package_file, output)
        return
    data = read_file(file)
    if data.startswith(MAGIC):
        _open(options, file, data, output)
        return
    if format_of(output) is None:
        raise ConfigurationError(f"{output}: a decrypted image needs a suffix such as .png or .dcm")
    header = read_header_file(header_file) if header_file is not None else None
    cipher = cipher_image_in(data, name=str(file), header=header)
    key = plain_file_key(options, key_file, lambda keys: keys.cipher)
    frames = cipher.header.frames
    with _busy(options, f"decrypting {frames} frames", frames=frames):
        restored = _decrypted(file, cipher, key)
    content = encode(restored.image, format_of(output) or "png")
    write_file(content, output)
    _report_image(options, output, cipher.header.form, restored, size_bytes=len(content))


# What a layer of the analog form means to whoever looks at the image.
_LAYERS = {
    "detail": "restored approximately",
    "base": "only a coarse picture came back, details are lost",
    "plain": "a small image restored approximately",
}


def _report_image(
    options: Common, output: Path, form: str, restored: Restored, *, size_bytes: int
) -> None:
    exact, psnr_db = restored.is_exact, restored.psnr_db
    estimate = "" if psnr_db is None else f", about {psnr_db:.0f} dB"
    emit(
        options,
        {
            "file": str(output),
            "form": form,
            "exact": exact,
            "layer": restored.layer or None,
            "estimated_psnr_db": None if psnr_db is None else round(psnr_db, 1),
            "size_bytes": size_bytes,
            "note": NO_CLAIM,
        },
        f"{output}: {size_bytes} bytes, {'bit exact' if exact else f'approximate{estimate}'}\n"
        f"{NO_CLAIM}",
    )
    if not exact:
        what = _LAYERS[restored.layer]
        say(f"{output}: {what}, and nothing proves it; do not diagnose from it")


def _open_release(options: Common, file: Path, package_file: Path, output: Path) -> None:
    """Write the release behind a cipher image, with the identity of the workspace."""
    with Workspace.open(options.workspace, options.passphrase(), node=options.node) as workspace:
        opened = open_cipher_release(file, package_file, workspace.identity, output)
    _report_image(options, output, opened.form, opened.restored, size_bytes=opened.size_bytes)


def _open(options: Common, file: Path, data: bytes, output: Path) -> None:
    """Write what is in a sealed package."""
    package = _parsed(file, data)
    if any(isinstance(wrap, ScryptWrap) for wrap in package.header.wraps):
        opened = _opened(file, package, PassphraseIdentity(options.passphrase()))
    else:
        with Workspace.open(
            options.workspace, options.passphrase(), node=options.node
        ) as workspace:
            opened = _opened(file, package, workspace.identity)
    write_file(opened, output)
    emit(
        options,
        {"file": str(output), "size_bytes": len(opened)},
        f"{output}: {len(opened)} bytes",
    )


def _parsed(file: Path, data: bytes) -> SealedPackage:
    try:
        return SealedPackage.from_bytes(data)
    except PackageError as error:
        raise type(error)(f"{file}: {error}; fetch the package again") from error


def _opened(file: Path, package: SealedPackage, identity: Identity | PassphraseIdentity) -> bytes:
    try:
        return open_package(package, identity)
    except PackageError as error:
        raise type(error)(f"{file}: {error}") from error


def _decrypted(file: Path, cipher: CipherImage, key: bytes) -> Restored:
    try:
        return decrypt_image(cipher, key)
    except CipherError as error:
        raise type(error)(f"{file}: {error}") from error


def _busy(options: Common, text: str, *, frames: int) -> AbstractContextManager[object]:
    """Show on a terminal that many frames are being worked on."""
    console = Console(stderr=True)
    if options.json or frames == 1 or not console.is_terminal:
        return nullcontext()
    return console.status(text)
