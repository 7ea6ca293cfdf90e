"""Grants: default refusal, purpose, expiry, revocation, break-glass, erasure."""

from pathlib import Path

import pytest

from medseal.errors import AccessRefusedError, UnknownImageError, UnknownNameError
from medseal.ledger import MAX_RESEARCH_GRANT_MS, EventKind, now_ms
from medseal.pipeline.access import GrantRequest, break_glass, grant, list_grants, revoke
from medseal.pipeline.erase import erase, erase_patient
from medseal.pipeline.open import open_image
from medseal.pipeline.release import ReleaseRequest, release
from medseal.pipeline.seal import seal
from medseal.pipeline.workspace import Workspace


@pytest.fixture
def image_id(workspace: Workspace, ct_file: Path) -> str:
    [outcome] = seal(workspace, [ct_file])
    assert outcome.image_id is not None
    return outcome.image_id


def may_open(workspace: Workspace, image_id: str, name: str, purpose: str | None = None) -> bool:
    try:
        open_image(
            workspace, image_id, workspace.path.parent / "out.dcm", name=name, purpose=purpose
        )
    except AccessRefusedError:
        return False
    return True


def test_a_grant_is_for_one_action_one_name_and_one_image(
    workspace: Workspace, image_id: str, mr_file: Path, tmp_path: Path
) -> None:
    grant(workspace, GrantRequest(name="ann", image_id=image_id, action="view"))
    assert may_open(workspace, image_id, "ann")
    assert not may_open(workspace, image_id, "bob")
    [other] = seal(workspace, [mr_file])
    assert not may_open(workspace, other.image_id or "", "ann")
    request = ReleaseRequest(image_id=image_id, to="bob", name="ann")
    with pytest.raises(AccessRefusedError, match="may not share"):
        release(workspace, request, tmp_path / "copy.dcm")


def test_expiry_and_revocation(workspace: Workspace, image_id: str) -> None:
    past = now_ms() - 1
    grant(workspace, GrantRequest(name="ann", image_id=image_id, action="view", until_ms=past))
    assert not may_open(workspace, image_id, "ann")
    grant(workspace, GrantRequest(name="ann", image_id=image_id, action="view"))
    assert may_open(workspace, image_id, "ann")
    revoke(workspace, "ann", image_id, "view")
    assert not may_open(workspace, image_id, "ann")
    with pytest.raises(AccessRefusedError, match="holds no such grant"):
        revoke(workspace, "ann", image_id, "view")


def test_revoking_everything_closes_a_break_glass_window_too(
    workspace: Workspace, image_id: str, mr_file: Path
) -> None:
    [other] = seal(workspace, [mr_file])
    grant(workspace, GrantRequest(name="ann", image_id=other.image_id or "", action="view"))
    break_glass(workspace, "ann", image_id, reason="emergency")
    assert may_open(workspace, image_id, "ann")
    revoke(workspace, "ann", image_id, None)
    assert not may_open(workspace, image_id, "ann")


def test_a_purpose_must_be_stated(workspace: Workspace, image_id: str) -> None:
    request = GrantRequest(name="ann", image_id=image_id, action="view", purpose="Second opinion")
    grant(workspace, request)
    assert not may_open(workspace, image_id, "ann")
    assert not may_open(workspace, image_id, "ann", "teaching")
    assert may_open(workspace, image_id, "ann", "second opinion")


def test_a_researcher_needs_purpose_and_end(workspace: Workspace, image_id: str) -> None:
    end = now_ms() + 60_000
    asked = {"name": "rex", "image_id": image_id, "action": "view", "role": "researcher"}
    for fields, reason in (
        ({}, "purpose"),
        ({"until_ms": end}, "purpose"),
        ({"purpose": "study-7"}, "unbounded"),
        ({"purpose": "study-7", "until_ms": end + MAX_RESEARCH_GRANT_MS}, "unbounded"),
    ):
        with pytest.raises(AccessRefusedError, match="a grant to a researcher") as caught:
            grant(workspace, GrantRequest(**asked, **fields))  # type: ignore[arg-type]
        assert caught.value.reason == reason
    # Refused at once: the ledger would record such a grant, and it would allow nothing.
    assert list_grants(workspace) == []
    grant(
        workspace,
        GrantRequest(name="rex", image_id=image_id, action="view", purpose="study-7", until_ms=end),
    )
    assert may_open(workspace, image_id, "rex", "study-7")


def test_break_glass_opens_for_a_known_clinician_only(
    workspace: Workspace, image_id: str, mr_file: Path
) -> None:
    with pytest.raises(UnknownNameError, match="not known"):
        break_glass(workspace, "nobody", image_id, reason="emergency")
    [other] = seal(workspace, [mr_file])
    grant(workspace, GrantRequest(name="ann", image_id=other.image_id or "", action="view"))
    assert not may_open(workspace, image_id, "ann")
    receipt = break_glass(workspace, "ann", image_id, reason="unconscious patient")
    assert may_open(workspace, image_id, "ann")
    assert b"unconscious" not in receipt.read_bytes()


def test_listing_names_people_again(workspace: Workspace, image_id: str) -> None:
    grant(workspace, GrantRequest(name="Ann Müller", image_id=image_id, action="classify"))
    [row] = list_grants(workspace)
    assert (row.name, row.image_id, row.action, row.status) == (
        "Ann Müller",
        image_id,
        "classify",
        "valid",
    )
    ledger = (workspace.path / "ledger.sqlite").read_bytes()
    assert "Ann Müller".encode() not in ledger


@pytest.mark.parametrize("name", ["", "  ", "a\nb", "x" * 65])
def test_a_name_is_checked(workspace: Workspace, image_id: str, name: str) -> None:
    with pytest.raises(UnknownNameError, match="printable"):
        grant(workspace, GrantRequest(name=name, image_id=image_id, action="view"))


def test_erasure_ends_everything_but_the_proof(
    workspace: Workspace, image_id: str, tmp_path: Path
) -> None:
    outcome = erase(workspace, image_id)
    assert outcome.receipt.is_file()
    assert not workspace.receipt_path(image_id).exists()
    assert list(workspace.store.addresses()) == []
    with pytest.raises(UnknownImageError, match="was erased"):
        open_image(workspace, image_id, tmp_path / "out.dcm")
    kinds = [event.kind for _, event in workspace.ledger.events()]
    assert kinds[-1] == EventKind.ERASE
    assert EventKind.SEAL in kinds
    workspace.ledger.audit()


def test_erasure_by_patient(workspace: Workspace, image_id: str) -> None:
    with pytest.raises(UnknownImageError, match="patient ID"):
        list(erase_patient(workspace, "somebody else"))
    [outcome] = erase_patient(workspace, "1CT1")
    assert outcome.image_id == image_id


def test_an_erased_image_can_be_sealed_again(
    workspace: Workspace, image_id: str, ct_file: Path
) -> None:
    erase(workspace, image_id)
    [outcome] = seal(workspace, [ct_file])
    assert outcome.status == "sealed"
    assert outcome.image_id != image_id
