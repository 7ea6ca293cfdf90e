import pytest

from medseal.errors import EncryptedAttributesError, InputError
from medseal.protection.encryption import cms_envelope
from medseal.protection.encryption.cms_envelope import (
    checked_recipients,
    envelope,
    is_for,
    opened,
)
from tests.protection.encryption.test_cms import FIRST, FIRST_KEY, SECOND, SECOND_KEY

PLAIN = b"line\nline\r\n"


@pytest.mark.parametrize("size", [0, 1, 15, 16, 17])
def test_every_recipient_opens_what_was_enclosed(size: int) -> None:
    plain = (PLAIN * 2)[:size]
    data = envelope(plain, checked_recipients([FIRST, SECOND, FIRST]))
    assert len(data) % 2 == 0
    for certificate, key in ((FIRST, FIRST_KEY), (SECOND, SECOND_KEY)):
        assert is_for(certificate, data)
        assert opened(data, certificate, key) == plain


def test_others_are_not_named() -> None:
    assert not is_for(SECOND, envelope(PLAIN, [FIRST]))


def test_what_is_no_envelope_is_refused() -> None:
    data = envelope(PLAIN, [FIRST])
    for wrong in (b"", data[:40], data + b"more", b"\x30\x80" + data[2:]):
        with pytest.raises(EncryptedAttributesError, match="cut off, or not encoded in DER"):
            is_for(FIRST, wrong)


def test_too_much_is_refused_on_both_sides(monkeypatch: pytest.MonkeyPatch) -> None:
    data = envelope(PLAIN, [FIRST])
    monkeypatch.setattr(cms_envelope, "MAX_CONTENT_BYTES", len(data) - 2)
    with pytest.raises(InputError, match="encrypt fewer attributes"):
        envelope(PLAIN, [FIRST])
    with pytest.raises(EncryptedAttributesError, match="the limit is"):
        opened(data, FIRST, FIRST_KEY)
