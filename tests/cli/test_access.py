"""Roles, transfer, pause, consent and the review of emergencies, through the command line."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from medseal.ledger import Consent, ConsentChange, now_ms, sign_consent
from medseal.ledger.consent import NO_NETWORK, new_patient_key, patient_address

Run = Callable[..., Any]
ROOT = Path(__file__).parents[2]


def subject_of(medseal: Run, image_id: str) -> str:
    [seal] = medseal("ledger", "audit", image_id, "--json").json[:1]
    found: str = seal["subject"]
    return found


def roles(medseal: Run, name: str) -> list[str]:
    [row] = [each for each in medseal("access", "accounts", "--json").json if each["name"] == name]
    found: list[str] = row["roles"]
    return found


@pytest.mark.usefixtures("image_id")
def test_roles_are_given_and_taken_back(medseal: Run) -> None:
    assert medseal("access", "role", "add", "ann", "radiologist").code == 0
    [value] = medseal("access", "role", "add", "ann", "emergency", "--json").json
    assert Path(value["receipt"]).is_file()
    assert roles(medseal, "ann") == ["radiologist", "emergency"]
    assert medseal("access", "role", "remove", "ann", "radiologist").code == 0
    assert roles(medseal, "ann") == ["emergency"]
    assert roles(medseal, "owner") == ["owner"]
    unknown = medseal("access", "role", "remove", "nobody", "auditor")
    assert (unknown.code, "not known" in unknown.err) == (2, True)
    assert medseal("access", "role", "add", "ann", "owner").code == 2


def test_another_institution_is_named_by_its_account(medseal: Run, image_id: str) -> None:
    gateway = f"0x{'ab' * 20}"
    assert medseal("access", "role", "add", gateway, "registrar").code == 0
    person = "cd" * 16
    assert medseal("access", "grant", person, image_id, "--action", "view").code == 0
    [row] = medseal("access", "list", "--json").json
    assert (row["name"], row["roles"], row["status"]) == (person, ["radiologist"], "valid")
    [role] = medseal("ledger", "audit", "--format", "fhir", "--output", "b", "--json").json
    assert role["entries"] == 5


def test_a_pause_refuses_all_but_the_owner(medseal: Run, image_id: str) -> None:
    medseal("access", "grant", "ann", image_id, "--action", "view")
    [value] = medseal("access", "pause", "--json").json
    assert value["paused"] is True
    refused = medseal("open", image_id, "--as", "ann", "--output", "a.dcm")
    assert (refused.code, "(paused)" in refused.err) == (1, True)
    assert medseal("access", "list", "--json").json[0]["status"] == "paused"
    assert medseal("open", image_id, "--output", "o.dcm").code == 0
    assert medseal("access", "pause").code == 1
    assert medseal("access", "resume").code == 0
    assert medseal("open", image_id, "--as", "ann", "--output", "a.dcm").code == 0


@pytest.mark.usefixtures("image_id")
def test_a_transfer_needs_a_day(medseal: Run) -> None:
    medseal("access", "role", "add", "bob", "registrar")
    assert medseal("access", "transfer", "offer").code == 2
    offered = medseal("access", "transfer", "offer", "bob")
    assert (offered.code, "in 24 hours" in offered.out) == (0, True)
    early = medseal("access", "transfer", "accept", "bob")
    assert (early.code, "after a day" in early.err) == (1, True)
    assert medseal("access", "transfer", "cancel").code == 0
    gone = medseal("access", "transfer", "accept", "bob")
    assert (gone.code, "not offered" in gone.err) == (1, True)


def test_consent_is_checked_and_relayed(medseal: Run, image_id: str, tmp_path: Path) -> None:
    key = new_patient_key()

    def signed(change: ConsentChange, at_ms: int) -> Path:
        said = Consent(subject=subject_of(medseal, image_id), change=change, issued_ms=at_ms)
        path = tmp_path / f"{change}.consent"
        path.write_bytes(sign_consent(said, NO_NETWORK, key).to_bytes())
        return path

    end = ("--until", "2999-01-01T00:00:00Z", "--role", "radiologist")
    medseal("access", "grant", "ann", image_id, "--action", "view", *end)
    withdraw = signed(ConsentChange.WITHDRAW, now_ms())
    signer = ("--signer", patient_address(key))
    refused = medseal("access", "consent", "withdraw", image_id, withdraw, *signer)
    assert (refused.code, "consent service" in refused.err) == (1, True)
    medseal("access", "role", "add", "owner", "consent-service")
    [value] = medseal("access", "consent", "withdraw", image_id, withdraw, *signer, "--json").json
    assert value["consent"].startswith("sha256:")
    again = medseal("access", "consent", "withdraw", image_id, withdraw)
    assert (again.code, "newer statement" in again.err) == (1, True)
    given = signed(ConsentChange.GIVE, now_ms())
    wrong = medseal("access", "consent", "withdraw", image_id, given)
    assert (wrong.code, "says 'give'" in wrong.err) == (1, True)
    assert medseal("access", "consent", "give", image_id, given).code == 0


def test_the_page_on_consent_does_what_it_says(medseal: Run, image_id: str, tmp_path: Path) -> None:
    """Its Python runs as it stands, in the order of the page, and its file is relayed."""
    page = (ROOT / "docs" / "how-to" / "record-consent.md").read_text()
    names: dict[str, Any] = {"subject": subject_of(medseal, image_id)}
    blocks = re.findall(r"^```python\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    assert len(blocks) == 2
    for block in blocks:
        exec(compile(block, "record-consent.md", "exec"), names)  # noqa: S102 - our own page
    assert (tmp_path / "withdrawal.consent").is_file()
    medseal("access", "role", "add", "relay", "consent-service")
    signer = ("--as", "relay", "--signer", names["address"])
    relayed = medseal("access", "consent", "withdraw", image_id, "withdrawal.consent", *signer)
    assert (relayed.code, "withdrawn" in relayed.out) == (0, True)


def test_emergencies_are_reviewed(medseal: Run, image_id: str) -> None:
    assert "Nobody has broken the glass" in medseal("access", "review").err
    medseal("access", "role", "add", "ann", "emergency")
    medseal("access", "break-glass", "ann", image_id, "--reason", "unconscious patient")
    assert medseal("open", image_id, "--as", "ann", "--output", "a.dcm").code == 0
    [row] = medseal("access", "review", "--reason", "unconscious patient", "--json").json
    assert (row["name"], row["roles"], row["image_id"]) == ("ann", ["emergency"], image_id)
    assert (row["is_open"], row["is_reason"], len(row["uses"])) == (True, True, 1)
    line = medseal("access", "review", "--reason", "curiosity").out
    assert "open now" in line
    assert "the reason is another" in line
    assert "unconscious" not in line
    medseal("access", "revoke", "ann", image_id)
    [row] = medseal("access", "review", "--json").json
    assert (row["is_open"], row["is_reason"]) == (False, None)
