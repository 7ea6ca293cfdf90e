import hashlib
import hmac

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st

from medseal.errors import (
    HeaderFormatError,
    InputError,
    NoMatchingIdentityError,
    WrongPassphraseError,
)
from medseal.protection.encryption import keys
from medseal.protection.encryption.header import ScryptWrap, X25519Wrap
from medseal.protection.encryption.keys import (
    Identity,
    PassphraseIdentity,
    PassphraseRecipient,
    Recipient,
)

# RFC 7748, 6.1: Alice.
ALICE_SECRET = bytes.fromhex("77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a")
ALICE_PUBLIC = bytes.fromhex("8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a")
FILE_KEY = bytes(range(32))


def hkdf(secret: bytes, salt: bytes, info: bytes) -> bytes:
    """HKDF-SHA256 of one block, straight from RFC 5869, 2.2 and 2.3."""
    extracted = hmac.new(salt or bytes(32), secret, hashlib.sha256).digest()
    return hmac.new(extracted, info + b"\x01", hashlib.sha256).digest()


def test_an_identity_has_the_public_key_of_the_rfc() -> None:
    assert Identity(ALICE_SECRET).recipient == Recipient(ALICE_PUBLIC)


@given(st.binary(min_size=32, max_size=32))
def test_text_forms_give_back_the_keys(secret: bytes) -> None:
    identity = Identity(secret)
    assert Identity.from_text(identity.to_text()).secret_key == secret
    assert Recipient.parse(str(identity.recipient)) == identity.recipient


def test_text_forms_are_fixed() -> None:
    identity = Identity(ALICE_SECRET)
    assert str(identity.recipient).startswith("medseal1")
    assert len(str(identity.recipient)) == 66
    assert identity.to_text().startswith("MEDSEAL-SECRET-1")
    assert len(identity.to_text()) == 74


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "must start with"),
        (str(Recipient(ALICE_PUBLIC)).upper(), "must start with"),
        (str(Recipient(ALICE_PUBLIC))[:-1], "wrong length"),
        (str(Recipient(ALICE_PUBLIC)) + "\n", "wrong length"),
        (str(Recipient(ALICE_PUBLIC))[:-1] + "b", "typing error"),
        (Identity(ALICE_SECRET).to_text(), "must start with"),
    ],
)
def test_a_wrong_recipient_text_is_refused(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        Recipient.parse(text)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: text.lower(), "capital letters"),
        (lambda text: text[:20] + text[20:].lower(), "capital letters"),
        (lambda text: text[:-1] + ("P" if text[-1] == "Q" else "Q"), "typing error"),
        (lambda text: text[:-2], "wrong length"),
        # The Kelvin sign is upper case and becomes k when lowered.
        (lambda text: text.replace("K", "\u212a"), "capital letters"),
        (lambda _: str(Recipient(ALICE_PUBLIC)).upper(), "must start with"),
    ],
)
def test_a_wrong_identity_text_is_refused_and_not_repeated(change, message: str) -> None:
    text = Identity(ALICE_SECRET).to_text()
    assert "K" in text
    assert change(text) != text
    with pytest.raises(InputError, match=message) as caught:
        Identity.from_text(change(text))
    assert text[20:40].lower() not in str(caught.value).lower()


@pytest.mark.parametrize("data", [bytes(32), b"\x01" + bytes(31), b"\xff" * 32, bytes(31), b""])
def test_an_unusable_public_key_is_no_recipient(data: bytes) -> None:
    with pytest.raises(InputError, match="not a usable X25519 public key"):
        Recipient(data)


def test_an_identity_has_32_secret_bytes() -> None:
    with pytest.raises(InputError, match="32 secret bytes"):
        Identity(bytes(31))


def test_generated_identities_differ() -> None:
    assert len({Identity.generate().secret_key for _ in range(100)}) == 100


def test_repr_hides_every_secret() -> None:
    identity = Identity.generate()
    phrase = "a very secret phrase"
    shown = repr(
        [identity, identity.recipient, PassphraseRecipient(phrase), PassphraseIdentity(phrase)]
    )
    assert phrase not in shown
    assert identity.secret_key.hex() not in shown
    assert repr(identity.secret_key) not in shown
    assert identity.to_text() not in shown
    assert str(identity.recipient) in shown


def test_an_x25519_wrap_is_built_as_specified() -> None:
    identity = Identity.generate()
    wrap = identity.recipient.wrap(FILE_KEY)
    shared = X25519PrivateKey.from_private_bytes(identity.secret_key).exchange(
        X25519PublicKey.from_public_bytes(wrap.ephemeral)
    )
    salt = wrap.ephemeral + identity.recipient.public_key
    key = hkdf(shared, salt, b"medseal/package/v1/x25519")
    assert AESGCM(key).decrypt(bytes(12), wrap.sealed_key, None) == FILE_KEY


def test_a_passphrase_wrap_is_built_as_specified() -> None:
    wrap = PassphraseRecipient("pass", log_n=11).wrap(FILE_KEY)
    salt = b"medseal/package/v1/scrypt" + wrap.salt
    key = hashlib.scrypt(b"pass", salt=salt, n=2**11, r=8, p=1, dklen=32)
    assert wrap.log_n == 11
    assert AESGCM(key).decrypt(bytes(12), wrap.sealed_key, None) == FILE_KEY


def test_two_wraps_of_one_key_share_nothing() -> None:
    for recipient in (Identity.generate().recipient, PassphraseRecipient("p", log_n=10)):
        first, second = recipient.wrap(FILE_KEY), recipient.wrap(FILE_KEY)
        assert first.sealed_key != second.sealed_key
        if isinstance(first, X25519Wrap):
            assert first.ephemeral != second.ephemeral
        else:
            assert first.salt != second.salt


def test_an_identity_finds_its_wrap_among_others() -> None:
    everybody = [Identity.generate() for _ in range(5)]
    wraps = [identity.recipient.wrap(FILE_KEY) for identity in everybody]
    assert all(identity.unwrap(wraps) == FILE_KEY for identity in everybody)
    with pytest.raises(NoMatchingIdentityError, match="not sealed for this identity"):
        Identity.generate().unwrap(wraps)


def test_the_all_zero_secret_is_refused_by_the_exchange_itself() -> None:
    private = X25519PrivateKey.generate()
    with pytest.raises(HeaderFormatError, match="all-zero secret"):
        keys._x25519_wrap_key(private, bytes(32), salt=bytes(64))


def test_a_passphrase_and_an_identity_do_not_open_each_other() -> None:
    identity = Identity.generate()
    with pytest.raises(NoMatchingIdentityError, match="not under a passphrase"):
        PassphraseIdentity("p").unwrap([identity.recipient.wrap(FILE_KEY)])
    with pytest.raises(NoMatchingIdentityError, match="not sealed for this identity"):
        identity.unwrap([PassphraseRecipient("p", log_n=10).wrap(FILE_KEY)])


def test_a_wrong_passphrase_is_refused() -> None:
    wrap = PassphraseRecipient("right", log_n=10).wrap(FILE_KEY)
    assert PassphraseIdentity("right").unwrap([wrap]) == FILE_KEY
    for wrong in ("wrong", "Right", "right ", " right"):
        with pytest.raises(WrongPassphraseError, match="passphrase is wrong"):
            PassphraseIdentity(wrong).unwrap([wrap])


def test_both_spellings_of_an_umlaut_open() -> None:
    wrap = PassphraseRecipient("Schl\u00fcssel", log_n=10).wrap(FILE_KEY)
    assert PassphraseIdentity("Schlu\u0308ssel").unwrap([wrap]) == FILE_KEY


@pytest.mark.parametrize(
    ("passphrase", "message"),
    [
        ("", "1 to 1024 characters"),
        ("x" * 1025, "1 to 1024 characters"),
        ("pass\n", "control characters"),
        ("pa\x00ss", "control characters"),
        ("pa\ud800ss", "control characters"),
    ],
)
def test_an_unusable_passphrase_is_refused(passphrase: str, message: str) -> None:
    for kind in (PassphraseRecipient, PassphraseIdentity):
        with pytest.raises(InputError, match=message):
            kind(passphrase)


@pytest.mark.parametrize("log_n", [0, 9, 19, 36])
def test_a_work_factor_outside_the_limits_is_refused(log_n: int) -> None:
    with pytest.raises(InputError, match="log_n must lie between 10 and 18"):
        PassphraseRecipient("p", log_n=log_n)


def test_the_default_work_factor_is_strong() -> None:
    assert PassphraseRecipient("p").log_n == keys.DEFAULT_SCRYPT_LOG_N >= 15


@given(
    st.binary(min_size=16, max_size=16), st.integers(10, 18), st.binary(min_size=48, max_size=48)
)
def test_an_identity_skips_passphrase_wraps(salt: bytes, log_n: int, sealed: bytes) -> None:
    identity = Identity(ALICE_SECRET)
    with pytest.raises(NoMatchingIdentityError, match="not sealed for this identity"):
        identity.unwrap([ScryptWrap(salt=salt, log_n=log_n, sealed_key=sealed)])
