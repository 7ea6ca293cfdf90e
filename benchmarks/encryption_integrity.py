"""Changed packages and cipher images: what is refused, what is corrected, what opens wrongly.

The sealed package must refuse every change. A cipher image refuses or corrects where its form has a
tag, and the analog form has none over its pixels: its integrity is that of the package around it or
of the tamper check. No security claim rests on a learned method.
"""

import importlib
import importlib.util
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np

from benchmarks import integrity
from medseal.errors import CipherError, PackageError
from medseal.imaging import MedicalImage
from medseal.imaging.image import frozen
from medseal.protection.encryption import Identity, SealedPackage, seal
from medseal.protection.encryption import open as open_package
from medseal.protection.encryption.cipher_image import CipherHeader, CipherImage
from medseal.protection.encryption.cnn import BACKBONES, decrypt, encrypt

__all__ = ["cipher_images", "downgrades", "packages"]

_KEY = bytes(range(32))
_START_BYTES = 32
_SIDE, _DIGITAL_SIDE = 24, 64


def downgrades() -> dict[str, int]:
    """Return the counts of every other value in each of the first 32 bytes of a package.

    There stand its name, version and suite.
    """
    identity = Identity.generate()
    data = seal(b"image" * 40, [identity.recipient], associated_data=b"1").to_bytes()

    def variants() -> Iterator[bytes]:
        for place in range(_START_BYTES):
            for value in range(256):
                if value != data[place]:
                    yield data[:place] + bytes([value]) + data[place + 1 :]

    return integrity.count(
        variants(),
        lambda each: open_package(SealedPackage.from_bytes(each), identity),
        PackageError,
    )


def packages(*, quick: bool) -> dict[str, Any]:
    """Return the counts of flips, cuts, orders, doubled chunks, other headers and downgrades."""
    found = integrity.run(every_bit=not quick)
    return {
        **{name: found[name] for name in ("package_bits", "package_cut_reordered_exchanged")},
        "package_start_any_value": downgrades(),
    }


def _phantom(side: int) -> MedicalImage:
    down, across = np.mgrid[:side, :side]
    shown = 120 + 90 * np.sin(down / 6) * np.cos(across / 5)
    return MedicalImage(
        stored_values=frozen(shown.astype(np.uint8)[None, :, :, None].copy()),
        bits_stored=8,
        is_signed=False,
        photometric_interpretation="MONOCHROME2",
        source_format="png",
        decoder="benchmark",
    )


def _opened(hidden: CipherImage) -> MedicalImage:
    if hidden.header.form == "digital":
        module: Any = importlib.import_module("medseal.protection.encryption.channel")
        opened: MedicalImage = module.decode(hidden, _KEY)
        return opened
    return decrypt(hidden, _KEY)


def _flips(
    hidden: CipherImage, image: MedicalImage, *, values: int, generator: np.random.Generator
) -> dict[str, dict[str, int]]:
    """Return how often one flipped bit is refused, corrected, or gives another image.

    Every bit of the header, and one bit of `values` pixels.
    """
    header = hidden.header.to_bytes()
    found: dict[str, Counter[str]] = {"header": Counter(), "pixels": Counter()}

    def count(part: str, changed: Callable[[], CipherImage]) -> None:
        try:
            opened = _opened(changed())
        except CipherError:
            found[part]["refused"] += 1
            return
        same = np.array_equal(opened.stored_values, image.stored_values)
        found[part]["exact" if same else "another image"] += 1

    def with_header(data: bytes) -> CipherImage:
        return CipherImage(stored_values=hidden.stored_values, header=CipherHeader.from_bytes(data))

    for flipped in integrity.flips(header):
        count("header", partial(with_header, flipped))
    for place in generator.permutation(hidden.stored_values.size)[:values]:
        pixels = hidden.stored_values.copy()
        pixels.flat[place] ^= 1 << int(generator.integers(8))
        count("pixels", partial(hidden.with_values, pixels))
    return {part: dict(sorted(counts.items())) for part, counts in found.items()}


def cipher_images(*, quick: bool) -> dict[str, Any]:
    """Return the counts for each form and backbone there is."""
    generator = np.random.default_rng(1)
    values = 10 if quick else 200
    found = {}
    small = _phantom(_SIDE)
    for backbone in BACKBONES:
        hidden = encrypt(small, _KEY, variant="integer", backbone=backbone)  # type: ignore[arg-type]
        found[f"integer {backbone}"] = _flips(hidden, small, values=values, generator=generator)
    larger = _phantom(_DIGITAL_SIDE)
    if importlib.util.find_spec("medseal.protection.encryption.channel"):
        channel: Any = importlib.import_module("medseal.protection.encryption.channel")
        hidden = channel.encode(larger, _KEY)
        found["digital"] = _flips(hidden, larger, values=values // 4, generator=generator)
    if importlib.util.find_spec("medseal.protection.encryption.cnn.analog"):
        hidden = encrypt(larger, _KEY, variant="analog", backbone=BACKBONES[0])  # type: ignore[arg-type]
        found["analog"] = _flips(hidden, larger, values=values // 10, generator=generator)
    return found
