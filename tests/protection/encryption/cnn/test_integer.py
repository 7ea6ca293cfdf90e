import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medseal.errors import (
    CipherHeaderError,
    CipherIntegrityError,
    CipherKeyError,
    InexactArithmeticError,
    UnsupportedImageError,
)
from medseal.imaging import MedicalImage
from medseal.protection.encryption.cipher_image import CipherHeader, CipherImage
from medseal.protection.encryption.cnn import backends, integer
from medseal.protection.encryption.cnn.backbones import NETWORKS
from medseal.protection.encryption.cnn.integer import Structure, transform

KEY, NONCE = bytes(range(32)), bytes(range(16))
BACKBONES = tuple(NETWORKS)


def image_of(values: np.ndarray, **changes: object) -> MedicalImage:
    fields: dict[str, object] = {
        "bits_stored": 8 * values.dtype.itemsize,
        "is_signed": values.dtype.kind != "u",
        "photometric_interpretation": "MONOCHROME2",
        "source_format": "png",
        "decoder": "test",
        "attributes": {"PatientName": "A^B"},
        "modality": "CT",
    }
    return MedicalImage(stored_values=values, **(fields | changes))


def random_image(shape: tuple[int, ...], dtype: str = "u2") -> MedicalImage:
    limits = np.iinfo(dtype)
    generator = np.random.default_rng(sum(shape))
    return image_of(generator.integers(limits.min, limits.max, shape, dtype, endpoint=True))


@settings(max_examples=40, deadline=None)
@given(
    st.tuples(st.integers(1, 3), st.integers(1, 20), st.integers(1, 20), st.integers(1, 4)),
    st.sampled_from(("u1", "i1", "u2", "i2")),
    st.sampled_from(BACKBONES),
)
def test_any_shape_and_depth_comes_back(
    shape: tuple[int, int, int, int], dtype: str, backbone: str
) -> None:
    image = random_image(shape, dtype)
    cipher = integer.encrypt(image, KEY, backbone=backbone)
    assert cipher.stored_values.shape == shape
    assert cipher.stored_values.dtype == np.dtype(f"u{dtype[1]}")
    plain = integer.decrypt(cipher, KEY)
    assert plain.stored_values.dtype == image.stored_values.dtype
    assert np.array_equal(plain.stored_values, image.stored_values)


def test_what_is_said_of_the_values_comes_back_and_nothing_else() -> None:
    image = image_of(
        np.arange(12, dtype=np.int16).reshape(1, 3, 4, 1) - 1024,
        bits_stored=12,
        photometric_interpretation="MONOCHROME1",
    )
    plain = integer.decrypt(integer.encrypt(image, KEY, backbone="unet"), KEY)
    assert plain.bits_stored == 12
    assert plain.is_signed
    assert plain.photometric_interpretation == "MONOCHROME1"
    assert plain.modality is None
    assert not plain.attributes


@pytest.mark.parametrize("backbone", BACKBONES)
@pytest.mark.parametrize("name", backends.available())
def test_backends_agree(name: str, backbone: str) -> None:
    image = random_image((1, 37, 41, 1))
    cipher = integer.encrypt(image, KEY, backbone=backbone, backend="int64")
    plain = integer.decrypt(cipher, KEY, backend=name)
    assert np.array_equal(plain.stored_values, image.stored_values)
    values = image.stored_values
    expected = transform(values, KEY, NONCE, structure=Structure(backbone=backbone))
    result = transform(
        values,
        KEY,
        NONCE,
        structure=Structure(backbone=backbone),
        product=integer.exact_product(name),
    )
    assert np.array_equal(result, expected)


@pytest.mark.parametrize("backbone", BACKBONES)
@pytest.mark.parametrize("place", [0, -1])
def test_half_of_the_rounds_and_less_spread_one_changed_level(backbone: str, place: int) -> None:
    """The least number of rounds that passes is at most half of those that ship."""
    generator = np.random.default_rng(0)
    first = generator.integers(0, 256, 4096, dtype=np.uint8)
    second = first.copy()
    second[place] ^= 1
    structure = Structure(backbone=backbone, rounds=2, whiten=False)
    assert 2 * structure.rounds <= integer.ROUNDS
    for inverse in (False, True):
        results = [
            transform(values, KEY, NONCE, structure=structure, inverse=inverse)
            for values in (first, second)
        ]
        equal = np.count_nonzero(results[0] == results[1])
        # 16 of 4096 bytes are equal by chance; five standard deviations are 20.
        assert equal < 36
        change = np.abs(results[0].astype(int) - results[1]).mean() / 255
        assert abs(change - 0.3346) < 5 * 0.2357 / 64


@pytest.mark.parametrize("backbone", BACKBONES)
def test_one_round_is_too_few(backbone: str) -> None:
    values = np.zeros(4096, np.uint8)
    other = values.copy()
    other[-1] = 1
    one = Structure(backbone=backbone, rounds=1)
    results = [transform(each, KEY, NONCE, structure=one) for each in (values, other)]
    assert np.count_nonzero(results[0] == results[1]) > 2000


@pytest.mark.parametrize(
    ("changes", "is_constant"),
    [
        ({}, False),
        ({"whiten": False}, False),
        ({"constants": False}, False),
        ({"whiten": False, "constants": False}, True),
    ],
)
def test_zeros_do_not_encrypt_to_a_constant(changes: dict[str, bool], is_constant: bool) -> None:
    zeros = np.zeros((64, 64), np.uint16)
    result = transform(zeros, KEY, NONCE, structure=Structure(backbone="resnet", **changes))
    cells = result.reshape(-1, 32)
    assert (len(np.unique(cells, axis=0)) <= 2) == is_constant


def test_two_cipher_images_of_one_image_have_nothing_in_common() -> None:
    image = random_image((1, 64, 64, 1), "u1")
    first, second = (integer.encrypt(image, KEY, backbone="unet") for _ in range(2))
    assert first.header.nonce != second.header.nonce
    equal = np.count_nonzero(first.stored_values == second.stored_values)
    assert equal < 36


@pytest.mark.parametrize("backbone", BACKBONES)
def test_a_changed_pixel_is_an_error_and_no_image(backbone: str) -> None:
    cipher = integer.encrypt(random_image((1, 20, 20, 1)), KEY, backbone=backbone)
    values = cipher.stored_values.copy()
    values[0, 3, 4, 0] ^= 1
    with pytest.raises(CipherIntegrityError, match="pixels of the cipher image were changed"):
        integer.decrypt(cipher.with_values(values), KEY)


@pytest.mark.parametrize("bit", [0, 77, 255])
def test_a_wrong_key_is_refused_before_anything_is_computed(
    bit: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    cipher = integer.encrypt(random_image((1, 20, 20, 1)), KEY, backbone="unet")
    wrong = (int.from_bytes(KEY, "big") ^ (1 << bit)).to_bytes(32, "big")
    computed: list[object] = []
    monkeypatch.setattr(integer, "transform", lambda *inputs, **_: computed.append(inputs))
    with pytest.raises(CipherKeyError, match="does not belong"):
        integer.decrypt(cipher, wrong)
    assert not computed


@pytest.mark.parametrize(
    "values",
    [
        np.zeros((1, 20, 19, 1), np.uint16),
        np.zeros((1, 19, 20, 1), np.uint16),
        np.zeros((1, 20, 20, 1), np.uint8),
        np.zeros((2, 20, 20, 1), np.uint16),
    ],
)
def test_pixels_of_another_size_are_refused(values: np.ndarray) -> None:
    cipher = integer.encrypt(random_image((1, 20, 20, 1)), KEY, backbone="unet")
    damaged = CipherImage(stored_values=values, header=cipher.header)
    with pytest.raises(CipherHeaderError, match="the header states"):
        integer.decrypt(damaged, KEY)


@pytest.mark.parametrize("changes", [{"parameters": b"\x05"}, {"form": "analog"}])
def test_a_header_of_another_form_or_other_rounds_is_refused(changes: dict[str, object]) -> None:
    cipher = integer.encrypt(random_image((1, 20, 20, 1)), KEY, backbone="unet")
    header: CipherHeader = dataclasses.replace(cipher.header, **changes).with_tag(KEY)
    with pytest.raises(CipherHeaderError, match="integer variant"):
        integer.decrypt(CipherImage(stored_values=cipher.stored_values, header=header), KEY)


@pytest.mark.parametrize("dtype", ["f4", "u4", "i8"])
def test_values_of_more_than_16_bits_are_refused(dtype: str) -> None:
    image = image_of(np.zeros((1, 2, 2, 1), dtype))
    with pytest.raises(UnsupportedImageError, match="8 or 16 bits"):
        integer.encrypt(image, KEY, backbone="unet")


@pytest.mark.parametrize("backbone", BACKBONES)
def test_the_self_test_holds_the_golden_values_of_every_backbone(backbone: str) -> None:
    assert integer._golden(backbone, backends.int64_product) == integer._GOLDEN[backbone]


def test_a_product_that_passes_its_own_test_and_errs_later_fails_the_golden_values() -> None:
    def errs_when_large(left: np.ndarray, right: np.ndarray) -> np.ndarray:
        result = backends.int64_product(left, right)
        result[-1, -1] += int(left.shape == (96, 288))
        return result

    backends.check_exact(errs_when_large, name="this one")
    with pytest.raises(InexactArithmeticError, match="with the backend this one"):
        integer._check_golden(errs_when_large, name="this one")


def test_the_default_is_refused_where_it_is_not_exact(monkeypatch: pytest.MonkeyPatch) -> None:
    def inexact(left: np.ndarray, right: np.ndarray) -> np.ndarray:
        sums = left.astype(np.float32) @ right.astype(np.float32)
        return (sums.view(np.int32) & ~0xFFFF).view(np.float32).astype(np.int32)

    backends.load.cache_clear()
    integer._tested.cache_clear()
    monkeypatch.setitem(backends._MAKERS, backends.default(), ("numpy", lambda: inexact))
    try:
        with pytest.raises(InexactArithmeticError, match="does not multiply integers exactly"):
            integer.encrypt(random_image((1, 4, 4, 1)), KEY, backbone="unet")
    finally:
        backends.load.cache_clear()
        integer._tested.cache_clear()
