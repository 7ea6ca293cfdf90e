import secrets

import pytest

from medseal.errors import FingerprintError
from medseal.protection.tamper.keys import (
    image_key,
    record_tag,
    sign,
    signer_of,
    sub_key,
    verify_signature,
)
from tests.protection.pictures import KEY

SALT = bytes(16)


def test_every_key_image_and_purpose_has_a_key_of_its_own():
    of_image = image_key(KEY, SALT)
    keys = {
        KEY,
        of_image,
        image_key(KEY, bytes(15) + b"\1"),
        image_key(bytes(32), SALT),
        sub_key(of_image, b"one"),
        sub_key(of_image, b"two"),
        signer_of(KEY),
        signer_of(bytes(32)),
    }
    assert len(keys) == 8
    assert all(len(key) == 32 for key in keys)


def test_derivation_is_repeatable():
    assert image_key(KEY, SALT) == image_key(KEY, SALT)
    assert signer_of(KEY) == signer_of(KEY)
    assert sign(b"record", KEY) == sign(b"record", KEY)


def test_a_signature_holds_for_its_data_and_signer_only():
    signature = sign(b"record", KEY)
    verify_signature(b"record", signature, signer_of(KEY))
    for data, signer in ((b"recorD", signer_of(KEY)), (b"record", signer_of(bytes(32)))):
        with pytest.raises(FingerprintError, match="its signature does not fit"):
            verify_signature(data, signature, signer)


@pytest.mark.parametrize("signer", [b"", bytes(31), b"\xff" * 32])
def test_what_is_no_public_key_is_a_damaged_record(signer):
    with pytest.raises(FingerprintError, match="its signature does not fit"):
        verify_signature(b"record", sign(b"record", KEY), signer)


def test_the_tag_depends_on_data_and_key():
    tags = {record_tag(data, key) for data in (b"a", b"b") for key in (KEY, bytes(32))}
    assert len(tags) == 4
    assert {len(tag) for tag in tags} == {16}


@pytest.mark.parametrize("key", [b"", secrets.token_bytes(31), "k" * 32])
@pytest.mark.parametrize(
    "use", [lambda key: image_key(key, SALT), signer_of, lambda key: sign(b"", key)]
)
def test_a_key_of_another_length_is_refused(key, use):
    with pytest.raises(FingerprintError, match="a fingerprint key has 32 bytes"):
        use(key)
