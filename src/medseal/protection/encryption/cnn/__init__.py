"""CNN ciphers: a keyed network of integers (exact) and a lossy-channel form (approximate).

The cipher image is an ordinary image of the same number of values. No security claim rests on a
learned method: confidentiality and integrity come from the sealed package around it.
"""

import importlib
from typing import Literal, Protocol, cast

from medseal.errors import CipherHeaderError, ConfigurationError
from medseal.imaging import MedicalImage
from medseal.protection.encryption.cipher_header import BACKBONES as _HEADER_BACKBONES
from medseal.protection.encryption.cipher_image import NO_CLAIM, CipherHeader, CipherImage
from medseal.protection.encryption.keystream import check_key

__all__ = [
    "BACKBONES",
    "NO_CLAIM",
    "VARIANTS",
    "CipherHeader",
    "CipherImage",
    "decrypt",
    "encrypt",
]

Variant = Literal["integer", "analog"]
Backbone = Literal["unet", "resnet", "autoencoder"]
VARIANTS = ("integer", "analog")
BACKBONES = tuple(name for name in _HEADER_BACKBONES if name)


class _Form(Protocol):
    """What the module of a variant offers."""

    def encrypt(self, image: MedicalImage, key: bytes, *, backbone: str) -> CipherImage: ...

    def decrypt(self, cipher_image: CipherImage, key: bytes) -> MedicalImage: ...


def _form(variant: str) -> _Form:
    """Return the module of a variant; loaded when first used, since networks are heavy."""
    return cast(_Form, importlib.import_module(f"{__name__}.{variant}"))


def encrypt(
    image: MedicalImage,
    key: bytes,
    *,
    variant: Variant = "integer",
    backbone: Backbone = "unet",
) -> CipherImage:
    """Return the cipher image of `image` under a fresh nonce.

    No security claim rests on a learned method: confidentiality and integrity come from the
    sealed package around it.

    Parameters
    ----------
    image
        Stored values of 8 or 16 bits, signed or not, any shape. Attributes do not travel.
    key
        32 random bytes, from `secrets`.
    variant
        ``integer``: bit exact, for storage and channels that keep every bit. ``analog``:
        approximate, for channels that damage pixels.
    backbone
        Kind of network: ``unet``, ``resnet`` or ``autoencoder``.

    Raises
    ------
    CipherKeyError
        The key has not 32 bytes.
    ConfigurationError
        An unknown variant or backbone.
    UnsupportedImageError
        Floating values or more than 16 bits.
    InexactArithmeticError
        This machine does not compute the integer variant exactly.
    """
    check_key(key)
    if variant not in VARIANTS:
        raise ConfigurationError(f"variant is one of {', '.join(VARIANTS)}; got {variant!r}")
    if backbone not in BACKBONES:
        raise ConfigurationError(f"backbone is one of {', '.join(BACKBONES)}; got {backbone!r}")
    return _form(variant).encrypt(image, key, backbone=backbone)


def decrypt(cipher_image: CipherImage, key: bytes) -> MedicalImage:
    """Return the image in `cipher_image`; the header says which variant and backbone.

    No security claim rests on a learned method: confidentiality and integrity come from the
    sealed package around it.

    Parameters
    ----------
    cipher_image
        As it came back from the channel, with the header it was made with.
    key
        32 bytes, those of `encrypt`.

    Raises
    ------
    CipherKeyError
        The key is another; nothing was computed.
    CipherHeaderError
        The header is damaged, does not fit the pixels, or is of the digital form.
    CipherIntegrityError
        The pixels were changed more than the variant endures.
    InexactArithmeticError
        This machine does not compute the integer variant exactly.
    """
    header = cipher_image.header
    header.check_tag(key)
    if header.form not in VARIANTS:
        raise CipherHeaderError(
            f"a cipher image of the {header.form} form is opened by "
            "medseal.protection.encryption.channel.decode"
        )
    return _form(header.form).decrypt(cipher_image, key)
