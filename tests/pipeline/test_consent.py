"""Signed statements of patients: checked, kept encrypted, relayed as commitments, erased."""

from dataclasses import replace
from pathlib import Path

import pytest

from medseal.errors import (
    AccessRefusedError,
    ConfigurationError,
    ConsentError,
    ConsentReplayError,
    PackageError,
    StorageError,
    UnknownImageError,
)
from medseal.ledger import (
    Consent,
    ConsentChange,
    SignedConsent,
    consent_commitment,
    now_ms,
    sign_consent,
)
from medseal.ledger.consent import NO_NETWORK, new_patient_key, patient_address
from medseal.pipeline.access import GrantRequest, grant
from medseal.pipeline.consent import _kept, relay_consent
from medseal.pipeline.erase import erase
from medseal.pipeline.open import open_image
from medseal.pipeline.roles import change_role
from medseal.pipeline.seal import seal
from medseal.pipeline.workspace import Workspace

GIVE, WITHDRAW = ConsentChange.GIVE, ConsentChange.WITHDRAW
KEY = new_patient_key()
SIGNER = patient_address(KEY)


@pytest.fixture
def image_id(workspace: Workspace, ct_file: Path) -> str:
    [outcome] = seal(workspace, [ct_file])
    change_role(workspace, "relay", "consent-service", add=True)
    return outcome.image_id or ""


def subject_of(workspace: Workspace, image_id: str) -> str:
    record = workspace.catalogue.image(image_id)
    assert record is not None
    return record.commitment


def signed(
    workspace: Workspace, image_id: str, change: ConsentChange, *, later_ms: int = 0
) -> Path:
    said = Consent(
        subject=subject_of(workspace, image_id), change=change, issued_ms=now_ms() + later_ms
    )
    path = workspace.path.parent / f"{said.nonce}.consent"
    path.write_bytes(sign_consent(said, NO_NETWORK, KEY).to_bytes())
    return path


def test_a_withdrawal_stops_research_and_a_new_consent_allows_it_again(
    workspace: Workspace, image_id: str, tmp_path: Path
) -> None:
    request = GrantRequest(
        name="rex", image_id=image_id, action="view", role="researcher", purpose="study-7"
    )
    grant(workspace, replace(request, until_ms=now_ms() + 3_600_000))

    def read() -> None:
        open_image(workspace, image_id, tmp_path / "r.dcm", name="rex", purpose="study-7")

    read()
    withdrawal = signed(workspace, image_id, WITHDRAW)
    outcome = relay_consent(workspace, image_id, withdrawal, WITHDRAW, signer=SIGNER, name="relay")
    with pytest.raises(AccessRefusedError, match="withdrawn the consent"):
        read()
    # The second time the key is known.
    again = signed(workspace, image_id, GIVE, later_ms=1000)
    relay_consent(workspace, image_id, again, GIVE, name="relay")
    read()
    events = [event for _, event in workspace.ledger.events() if event.kind == "consent"]
    assert [event.details["change"] for event in events] == ["withdraw", "give"]
    assert events[0].details["consent"] == outcome.commitment
    workspace.ledger.audit()


def test_the_kept_salt_opens_the_commitment_and_nothing_else_tells_the_patient(
    workspace: Workspace, image_id: str
) -> None:
    file = signed(workspace, image_id, WITHDRAW)
    outcome = relay_consent(workspace, image_id, file, WITHDRAW, signer=SIGNER, name="relay")
    kept = _kept(workspace, image_id, subject_of(workspace, image_id), None)
    [(data, salt)] = kept.statements
    assert data == file.read_bytes()
    assert str(consent_commitment(SignedConsent.parse(data), salt)) == outcome.commitment
    assert kept.record.signer == SIGNER
    for path in workspace.path.rglob("*"):
        if path.is_file():
            assert SIGNER.encode() not in path.read_bytes(), path
            assert SIGNER[2:].encode() not in path.read_bytes(), path


def test_what_is_not_relayed(workspace: Workspace, image_id: str) -> None:
    give = signed(workspace, image_id, GIVE)
    before = workspace.log.size
    with pytest.raises(ConfigurationError, match="give its address with --signer"):
        relay_consent(workspace, image_id, give, GIVE, name="relay")
    with pytest.raises(ConsentError, match="says 'give'"):
        relay_consent(workspace, image_id, give, WITHDRAW, signer=SIGNER, name="relay")
    other = patient_address(new_patient_key())
    with pytest.raises(ConsentError, match="not signed with the key"):
        relay_consent(workspace, image_id, give, GIVE, signer=other, name="relay")
    assert workspace.log.size == before
    with pytest.raises(AccessRefusedError, match="consent service"):
        relay_consent(workspace, image_id, give, GIVE, signer=SIGNER)
    # What was refused by the ledger is no statement that stands: it may be relayed properly.
    relay_consent(workspace, image_id, give, GIVE, name="relay")
    with pytest.raises(ConsentReplayError, match="newer statement"):
        relay_consent(workspace, image_id, give, GIVE, name="relay")
    with pytest.raises(ConfigurationError, match="another key is known"):
        relay_consent(workspace, image_id, give, GIVE, signer=f"0x{'1' * 40}", name="relay")
    with pytest.raises(UnknownImageError, match="no image"):
        relay_consent(workspace, "0" * 32, give, GIVE, signer=SIGNER, name="relay")


def test_erasing_the_image_destroys_the_statements(workspace: Workspace, image_id: str) -> None:
    file = signed(workspace, image_id, WITHDRAW)
    relay_consent(workspace, image_id, file, WITHDRAW, signer=SIGNER, name="relay")
    assert workspace.consent_path(image_id).is_file()
    erase(workspace, image_id)
    assert not workspace.consent_path(image_id).exists()


@pytest.mark.parametrize("content", [b"", b"{}", b"age"])
def test_a_damaged_file_is_refused(workspace: Workspace, image_id: str, content: bytes) -> None:
    path = workspace.consent_path(image_id)
    path.parent.mkdir()
    path.write_bytes(content)
    give = signed(workspace, image_id, GIVE)
    with pytest.raises(PackageError, match="package"):
        relay_consent(workspace, image_id, give, GIVE, name="relay")


def test_a_file_that_stands_beside_another_image_is_refused(
    workspace: Workspace, image_id: str, mr_file: Path
) -> None:
    [other] = seal(workspace, [mr_file])
    other_id = other.image_id or ""
    file = signed(workspace, image_id, WITHDRAW)
    relay_consent(workspace, image_id, file, WITHDRAW, signer=SIGNER, name="relay")
    workspace.consent_path(image_id).rename(workspace.consent_path(other_id))
    with pytest.raises(StorageError, match="beside another image"):
        relay_consent(workspace, other_id, file, WITHDRAW, name="relay")
