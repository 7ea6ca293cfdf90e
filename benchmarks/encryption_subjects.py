"""The ciphers that are attacked: sound ones, known-bad ones and the product, behind one interface.

No security claim rests on a learned method: confidentiality and integrity come from the sealed
package.
"""

import hmac
import importlib
import importlib.util
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np

from medseal.errors import CipherIntegrityError
from medseal.imaging import MedicalImage
from medseal.imaging.image import frozen
from medseal.protection.encryption.baselines import (
    AesCbc,
    AesCtr,
    AesEcb,
    AesGcm,
    BlockScrambling,
    Bytes,
    ChaCha20,
    FixedKeystream,
    FixedPermutation,
    PixelCipher,
    RsaChunked,
    RsaTransport,
)
from medseal.protection.encryption.baselines.learned.cipher import LearnedCipher
from medseal.protection.encryption.baselines.learned.networks import Pair
from medseal.protection.encryption.baselines.method import as_image, checked, flat
from medseal.protection.encryption.cipher_image import CipherHeader, CipherImage, plain_tag_of
from medseal.protection.encryption.cnn import BACKBONES, decrypt, encrypt
from medseal.protection.encryption.cnn.integer import Structure, transform

__all__ = [
    "CONTROL",
    "KNOWN_BAD",
    "OTHER",
    "PRODUCT",
    "SOUND",
    "IntegerCipher",
    "ProductCipher",
    "Subject",
    "subjects",
]

KNOWN_BAD, SOUND, PRODUCT, OTHER = "known bad", "sound", "product", "other"
CONTROL = "AES-CTR"
_TAG_BYTES = 32
_FORM = "integer"
_SIZES, _SIZES_BYTES = "<III", 12
_RSA_KEYS = (bytes(32), bytes([1] * 32))
_ENCRYPTION = "medseal.protection.encryption"


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A cipher and how it is used.

    Attributes
    ----------
    name
        In tables.
    cipher
        Behind the interface of the baselines.
    kind
        ``known bad``: the suite must break it; ``sound`` and ``product``: it must not; ``other``.
    repeats_nonce
        Whether all images have one nonce, which is a misuse of most ciphers.
    claims_diffusion
        Whether one changed value shall change all values under the same key and nonce. Ciphers
        that XOR a key stream do not and need not.
    compresses
        Whether it compresses before it seals and spreads the result over few grey levels: then
        the size, and what fills it, follow the content, and the histogram is not flat.
    keys
        Those there are, where a key costs a training; empty where any 32 bytes are one.
    """

    name: str
    cipher: PixelCipher
    kind: str
    repeats_nonce: bool = False
    claims_diffusion: bool = False
    compresses: bool = False
    keys: tuple[bytes, ...] = ()

    def key(self, generator: np.random.Generator) -> bytes:
        """Return a key: any, or one of those there are."""
        if self.keys:
            return self.keys[int(generator.integers(len(self.keys)))]
        return generator.bytes(32)

    def nonce(self, generator: np.random.Generator) -> bytes:
        """Return a fresh nonce, or always the same."""
        return bytes(16) if self.repeats_nonce else generator.bytes(16)

    def pixels(self, image: Bytes, key: bytes, nonce: bytes) -> Bytes:
        """Return as many cipher values as the image has: what an attacker sees as a picture."""
        return self.cipher.encrypt(image, key, nonce)[: image.size]


@dataclass(frozen=True, slots=True, kw_only=True)
class IntegerCipher:
    """The integer variant with a nonce that can be chosen.

    Attributes
    ----------
    structure
        The shipped one or an experiment.
    is_tagged
        Whether the tag of the plain image travels along and is checked, as the header does it.
    """

    structure: Structure
    is_tagged: bool = False

    @property
    def name(self) -> str:
        """Name in tables."""
        own = self.structure
        parts = [f"integer {own.backbone}"]
        if not self.is_tagged:
            parts.append(f"{own.rounds} round{'s' if own.rounds > 1 else ''}")
        if not own.whiten:
            parts.append("not whitened")
        if not own.constants:
            parts.append("without round constants")
        return ", ".join(parts)

    def encrypt(self, values: Bytes, key: bytes, nonce: bytes) -> Bytes:
        """Return as many values as the image has, and the tag."""
        hidden = transform(checked(values), key, nonce, structure=self.structure)
        tag = plain_tag_of(key, nonce, _FORM, values) if self.is_tagged else b""
        return flat(hidden.tobytes() + tag)

    def decrypt(self, values: Bytes, key: bytes, nonce: bytes, *, shape: tuple[int, int]) -> Bytes:
        """Return the image, bit for bit.

        Raises
        ------
        CipherIntegrityError
            The tag travels along and does not fit.
        """
        hidden = as_image(values, shape)
        plain: Bytes = transform(hidden, key, nonce, structure=self.structure, inverse=True)
        if self.is_tagged:
            tag = values[-_TAG_BYTES:].tobytes()
            if not hmac.compare_digest(plain_tag_of(key, nonce, _FORM, plain), tag):
                raise CipherIntegrityError("the pixels of the cipher image were changed")
        return plain


@dataclass(frozen=True, slots=True, kw_only=True)
class ProductCipher:
    """A form through its public interface, which draws the nonce itself.

    Attributes
    ----------
    form
        ``analog`` or ``digital``.
    backbone
        Of the network of the analog form.
    """

    form: str
    backbone: str = ""

    @property
    def name(self) -> str:
        """Name in tables."""
        return f"{self.form} {self.backbone}".strip()

    def encrypt(self, values: Bytes, key: bytes, nonce: bytes) -> Bytes:  # noqa: ARG002  drawn inside
        """Return the pixels that travel, the header, and in 12 bytes its length and the size."""
        image = _grey(values)
        if self.form == "digital":
            found = _channel().encode(image, key)
        else:
            found = encrypt(image, key, variant="analog", backbone=cast(Any, self.backbone))
        header = found.header.to_bytes()
        sizes = struct.pack(_SIZES, len(header), *found.stored_values.shape[1:3])
        return flat(found.stored_values.tobytes() + header + sizes)

    def picture(self, values: Bytes) -> Bytes:
        """Return the pixels that travel: (rows, columns) of their own."""
        _, rows, columns = struct.unpack(_SIZES, values[-_SIZES_BYTES:].tobytes())
        return as_image(values, (rows, columns))

    def decrypt(self, values: Bytes, key: bytes, nonce: bytes, *, shape: tuple[int, int]) -> Bytes:  # noqa: ARG002  in the header
        """Return the image: exact, or nearly so.

        Raises
        ------
        CipherError
            Another key, a damaged header, or more damage than the form endures.
        """
        length, rows, columns = struct.unpack(_SIZES, values[-_SIZES_BYTES:].tobytes())
        end = values.size - _SIZES_BYTES
        header = CipherHeader.from_bytes(values[end - length : end].tobytes())
        hidden = CipherImage(
            stored_values=values[: rows * columns].reshape(1, rows, columns, 1), header=header
        )
        opened = _channel().decode(hidden, key) if self.form == "digital" else decrypt(hidden, key)
        return np.asarray(opened.stored_values[0, :, :, 0], np.uint8)


def _channel() -> Any:
    return importlib.import_module("medseal.protection.encryption.channel")


def _grey(values: Bytes) -> MedicalImage:
    return MedicalImage(
        stored_values=frozen(checked(values)[None, :, :, None].copy()),
        bits_stored=8,
        is_signed=False,
        photometric_interpretation="MONOCHROME2",
        source_format="png",
        decoder="benchmark",
    )


def _baselines() -> Iterator[Subject]:
    yield Subject(name="EtC block scrambling", cipher=BlockScrambling(), kind=KNOWN_BAD)
    yield Subject(name="fixed permutation", cipher=FixedPermutation(), kind=KNOWN_BAD)
    yield Subject(name="fixed keystream", cipher=FixedKeystream(), kind=KNOWN_BAD)
    yield Subject(name="AES-ECB", cipher=AesEcb(), kind=KNOWN_BAD)
    for cipher in (AesCtr(), ChaCha20()):
        yield Subject(name=cipher.name, cipher=cipher, kind=SOUND)
        yield Subject(
            name=f"{cipher.name}, nonce repeated",
            cipher=cipher,
            kind=KNOWN_BAD,
            repeats_nonce=True,
        )
    for sound in (AesCbc(), AesGcm()):
        yield Subject(name=sound.name, cipher=sound, kind=SOUND)
    # A key pair takes a second to draw, so there are two.
    transport, textbook, padded = RsaTransport(), RsaChunked(), RsaChunked(is_padded=True)
    yield Subject(name=transport.name, cipher=transport, kind=SOUND, keys=_RSA_KEYS)
    yield Subject(name=textbook.name, cipher=textbook, kind=KNOWN_BAD, keys=_RSA_KEYS)
    # It leaks nothing that the suite looks for; it is slow, large, and chunks can be exchanged.
    yield Subject(name=padded.name, cipher=padded, kind=OTHER, keys=_RSA_KEYS)


def _integer() -> Iterator[Subject]:
    for backbone in BACKBONES:
        shipped = IntegerCipher(structure=Structure(backbone=backbone), is_tagged=True)
        yield Subject(name=shipped.name, cipher=shipped, kind=PRODUCT, claims_diffusion=True)
    for structure in (
        Structure(backbone="unet", rounds=1),
        Structure(backbone="unet", whiten=False, constants=False),
    ):
        bad = IntegerCipher(structure=structure)
        yield Subject(name=bad.name, cipher=bad, kind=KNOWN_BAD, claims_diffusion=True)


def _product() -> Iterator[Subject]:
    if importlib.util.find_spec(f"{_ENCRYPTION}.cnn.analog"):
        for backbone in BACKBONES:
            analog = ProductCipher(form="analog", backbone=backbone)
            yield Subject(name=analog.name, cipher=analog, kind=PRODUCT)
    if importlib.util.find_spec(f"{_ENCRYPTION}.channel"):
        digital = ProductCipher(form="digital")
        yield Subject(name=digital.name, cipher=digital, kind=PRODUCT, compresses=True)


def subjects(pairs: Sequence[Pair] = ()) -> tuple[Subject, ...]:
    """Return all ciphers; the one whose weights are the key if trained pairs are given."""
    found = [*_baselines()]
    if pairs:
        learned = LearnedCipher(pairs)
        found.append(Subject(name=learned.name, cipher=learned, kind=KNOWN_BAD, keys=learned.keys))
    return (*found, *_integer(), *_product())
