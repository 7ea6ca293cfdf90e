"""What a consent service keeps for an image, and which signed statements it may relay."""

from dataclasses import dataclass
from typing import Self

from medseal.digest import canonical_json
from medseal.errors import ConsentError, ConsentReplayError, InputError
from medseal.ledger.consent import (
    Consent,
    ConsentDomain,
    SignedConsent,
    checked_nonce,
    checked_signer,
    checked_time_ms,
    parse_fields,
    verify_consent,
)
from medseal.ledger.grants import checked_purpose, checked_subject
from medseal.ledger.rights import ConsentChange

__all__ = ["MAX_AHEAD_MS", "MAX_GIVE_AGE_MS", "ConsentRecord", "accept_consent"]

# First line of every record; docs/spec/consent.md.
_VERSION = b"medseal-consent-record/v1\n"
# 256 purposes of 32 letters, quoted, and the other fields.
_MAX_RECORD_BYTES = 16_384
_MAX_WITHDRAWN = 256
# How far the clock of a patient may be ahead. A statement from the year 2099 would otherwise make
# every later one look old.
MAX_AHEAD_MS = 5 * 60 * 1000
# A consent that was signed and never relayed is not dug out later; a withdrawal never grows old.
MAX_GIVE_AGE_MS = 30 * 24 * 60 * 60 * 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsentRecord:
    """What a consent service keeps for one image: whose word counts, and what was said last.

    Attributes
    ----------
    subject
        Commitment of the image.
    signer
        Address of the patient's key, ``0x`` and 40 lower-case hexadecimal digits.
    issued_ms, nonce
        Of the newest statement that was accepted; None and empty before the first.
    withdrawn
        Purposes whose withdrawal stands, in order; the empty one means all research.

    Raises
    ------
    InputError
        A field has another form.
    """

    subject: str
    signer: str
    issued_ms: int | None = None
    nonce: str = ""
    withdrawn: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        checked_subject(self.subject)
        checked_signer(self.signer)
        if self.issued_ms is not None or self.nonce:
            checked_time_ms(self.issued_ms)
            checked_nonce(self.nonce)
        for purpose in self.withdrawn:
            checked_purpose(purpose)
        if list(self.withdrawn) != sorted(set(self.withdrawn)):
            raise InputError("the withdrawn purposes are sorted, each named once")

    def to_bytes(self) -> bytes:
        """Return the file: a version line and canonical JSON."""
        fields = {name: getattr(self, name) for name in self.__slots__}
        return _VERSION + canonical_json(fields)

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """Return the record of a file; only the bytes that `to_bytes` writes are accepted.

        Raises
        ------
        ConsentError
            Too long, another version, not canonical, or a field of another form.
        """
        fields = parse_fields(data, _VERSION, _MAX_RECORD_BYTES, cls.__slots__)
        try:
            if not isinstance(fields["withdrawn"], list):
                raise InputError("the withdrawn purposes are a list")
            return cls(**(fields | {"withdrawn": tuple(fields["withdrawn"])}))
        except InputError as error:
            raise ConsentError(f"malformed record of a consent: {error}") from None


def accept_consent(
    data: bytes, record: ConsentRecord, domain: ConsentDomain, *, at_ms: int
) -> tuple[SignedConsent, ConsentRecord]:
    """Return a statement that may be relayed, and the record to keep once it was.

    Relay it with `consent_event` and its `consent_commitment`. The record is stored after the
    event was appended: a repetition of a withdrawal does no harm, a lost one would.

    Parameters
    ----------
    data
        File of the signed statement.
    record
        What the service keeps for the image.
    domain
        The ledger of the service.
    at_ms
        Now, in milliseconds since 1970 UTC.

    Raises
    ------
    ConsentError
        Malformed, for another ledger or image, not signed by this patient, dated ahead of now, or
        a consent beside which the withdrawal of another purpose stands.
    ConsentReplayError
        Not newer than the last statement, or a consent signed too long ago.
    """
    # 1.-4. Verified.
    signed = SignedConsent.parse(data)
    consent = verify_consent(signed, record.signer, domain)
    # 5. For this image.
    if consent.subject != record.subject:
        raise ConsentError("the consent is for another image")
    # 6. At its time.
    _check_time(consent, record, at_ms)
    # 7. What stands withdrawn afterwards.
    after = ConsentRecord(
        subject=record.subject,
        signer=record.signer,
        issued_ms=consent.issued_ms,
        nonce=consent.nonce,
        withdrawn=_withdrawn_after(consent, record.withdrawn),
    )
    return signed, after


def _check_time(consent: Consent, record: ConsentRecord, at_ms: int) -> None:
    """Refuse a replay, and what would stand in the way of later statements."""
    # It would outlast whatever the patient says until then.
    if consent.issued_ms > at_ms + MAX_AHEAD_MS:
        raise ConsentError("the consent is dated ahead: set the clock and sign again")
    # All that was accepted before the last one is older still, so one nonce is enough.
    last_ms = -1 if record.issued_ms is None else record.issued_ms
    if consent.issued_ms <= last_ms or consent.nonce == record.nonce:
        raise ConsentReplayError("a newer statement of the patient stands")
    is_old = at_ms - consent.issued_ms > MAX_GIVE_AGE_MS
    if is_old and consent.change is ConsentChange.GIVE:
        raise ConsentReplayError("the consent was signed more than 30 days ago: sign again")


def _withdrawn_after(consent: Consent, withdrawn: tuple[str, ...]) -> tuple[str, ...]:
    """Return the withdrawals that stand after a statement.

    The ledger holds one word an image. So a withdrawal for one purpose ends all research with it,
    and a consent must end every withdrawal that stands.
    """
    if consent.change is ConsentChange.WITHDRAW:
        together = sorted({*withdrawn, consent.purpose})
        # With too many to list, all research is the safe reading.
        return tuple(together) if len(together) <= _MAX_WITHDRAWN else ("",)
    if consent.purpose and {*withdrawn} - {consent.purpose}:
        raise ConsentError("the withdrawal of another purpose stands: consent to all research")
    return ()
