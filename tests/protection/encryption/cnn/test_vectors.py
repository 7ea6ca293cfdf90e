"""The vectors of docs/spec/cipher-image.md, made by code of their own."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from medseal import errors
from medseal.protection.encryption import cnn
from medseal.protection.encryption.cipher_image import CipherHeader, CipherImage
from medseal.protection.encryption.cnn import integer
from medseal.protection.encryption.cnn.backends import available

VECTORS = sorted((Path(__file__).parents[3] / "vectors" / "cipher-image").glob("*.json"))
VALID = [path for path in VECTORS if path.stem.startswith("valid")]
REFUSED = [path for path in VECTORS if path not in VALID]


def read(path: Path) -> dict[str, Any]:
    case: dict[str, Any] = json.loads(path.read_text())
    return case


def cipher_of(case: dict[str, Any]) -> CipherImage:
    dtype = f"<u{case['bytes_a_value']}"
    pixels = np.frombuffer(bytes.fromhex(case["pixels"]), dtype)
    return CipherImage(
        stored_values=pixels.reshape(case.get("pixel_shape", case["shape"])),
        header=CipherHeader.from_bytes(bytes.fromhex(case["header"])),
    )


def test_there_are_twenty_of_all_networks() -> None:
    cases = [read(path) for path in VALID]
    assert len(cases) == 20
    assert {case["backbone"] for case in cases} == set(cnn.BACKBONES)
    assert {case["bytes_a_value"] for case in cases} == {1, 2}


@pytest.mark.parametrize("path", VALID, ids=lambda path: path.stem)
def test_a_vector_is_decrypted_by_every_backend_and_encrypted_again(path: Path) -> None:
    case = read(path)
    key, cipher = bytes.fromhex(case["key"]), cipher_of(case)
    assert cipher.header.to_bytes() == bytes.fromhex(case["header"])
    for backend in available():
        image = integer.decrypt(cipher, key, backend=backend)
        assert image.stored_values.tobytes() == bytes.fromhex(case["stored_values"])
        assert image.stored_values.shape == tuple(case["shape"])
        assert image.is_signed == case["is_signed"]
        assert image.bits_stored == case["bits_stored"]
        assert image.photometric_interpretation == case["photometric_interpretation"]
        again = integer.transform(
            image.stored_values.view(cipher.stored_values.dtype),
            key,
            bytes.fromhex(case["nonce"]),
            structure=integer.Structure(backbone=case["backbone"]),
            product=integer.exact_product(backend),
        )
        assert np.array_equal(again, cipher.stored_values)


@pytest.mark.parametrize("path", REFUSED, ids=lambda path: path.stem)
def test_what_is_not_valid_is_refused_with_its_error(path: Path) -> None:
    case = read(path)
    with pytest.raises(errors.CipherError, match=r"^[^\n]+$") as caught:
        cnn.decrypt(cipher_of(case), bytes.fromhex(case["key"]))
    assert type(caught.value) is getattr(errors, case["expect"])
