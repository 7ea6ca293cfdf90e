"""Roles, the handing over of a workspace's ledger, and its pause."""

from pathlib import Path

import pytest

from medseal.errors import AccessRefusedError, ConfigurationError, UnknownNameError
from medseal.ledger import PauseChange, Role, RoleChange, now_ms
from medseal.pipeline.access import GrantRequest, grant
from medseal.pipeline.open import open_image
from medseal.pipeline.roles import change_role, list_accounts, pause, transfer
from medseal.pipeline.seal import seal
from medseal.pipeline.workspace import OWNER, Workspace

DAY_MS = 24 * 60 * 60 * 1000


def test_roles_come_and_go(workspace: Workspace) -> None:
    change_role(workspace, "ann", "radiologist", add=True)
    change_role(workspace, "ann", "auditor", add=True)
    change_role(workspace, "ann", "radiologist", add=False)
    found = {row.name: (row.account, row.roles) for row in list_accounts(workspace)}
    assert found == {
        "ann": (workspace.keys.account("ann"), ("auditor",)),
        OWNER: (workspace.owner, ("owner",)),
    }
    with pytest.raises(ConfigurationError, match="transfer"):
        change_role(workspace, "ann", "owner", add=True)
    with pytest.raises(UnknownNameError, match="not known"):
        change_role(workspace, "bob", "auditor", add=False)


def test_an_account_is_taken_as_it_is_written(workspace: Workspace) -> None:
    gateway, person = "ab" * 20, "cd" * 16
    change_role(workspace, f"0x{gateway}", "registrar", add=True)
    change_role(workspace, person, "researcher", add=True)
    assert workspace.ledger.roles(gateway) == (Role.REGISTRAR,)
    assert workspace.ledger.roles(person) == (Role.RESEARCHER,)
    assert set(workspace.names().values()) == {OWNER}
    # Neither can be taken for a person, whose account a contract knows with zeros before it.
    assert workspace.account_of(f"0x{'0' * 40}") == workspace.keys.account(f"0x{'0' * 40}")


def test_after_a_day_another_account_owns_the_ledger(
    workspace: Workspace, passphrase: str, ct_file: Path, tmp_path: Path
) -> None:
    first = workspace.owner
    bob = workspace.remember_name("bob")
    now = now_ms()
    transfer(workspace, RoleChange.OFFER, "bob", at_ms=now - DAY_MS)
    with pytest.raises(AccessRefusedError, match="not offered"):
        transfer(workspace, RoleChange.ACCEPT, None, at_ms=now)
    with pytest.raises(AccessRefusedError, match="after a day"):
        transfer(workspace, RoleChange.ACCEPT, "bob", at_ms=now - 1)
    transfer(workspace, RoleChange.ACCEPT, "bob", at_ms=now)
    assert workspace.owner == workspace.account_of(OWNER) == bob
    with Workspace.open(workspace.path, passphrase) as again:
        assert again.owner == bob
        [outcome] = seal(again, [ct_file])
        image_id = outcome.image_id or ""
        grant(again, GrantRequest(name="ann", image_id=image_id, action="view"))
        open_image(again, image_id, tmp_path / "o.dcm")
        assert again.ledger.roles(first) == ()
        again.ledger.audit()


def test_an_offer_names_somebody_and_can_be_cancelled(workspace: Workspace) -> None:
    with pytest.raises(ConfigurationError, match="name to whom"):
        transfer(workspace, RoleChange.OFFER, None)
    with pytest.raises(UnknownNameError, match="not known"):
        transfer(workspace, RoleChange.OFFER, "nobody")
    workspace.remember_name("bob")
    transfer(workspace, RoleChange.OFFER, "bob", at_ms=now_ms() - DAY_MS)
    transfer(workspace, RoleChange.CANCEL, None)
    with pytest.raises(AccessRefusedError, match="not offered"):
        transfer(workspace, RoleChange.ACCEPT, "bob")


def test_a_pause_is_neither_doubled_nor_ended_twice(workspace: Workspace) -> None:
    assert pause(workspace, PauseChange.PAUSE).is_file()
    with pytest.raises(AccessRefusedError, match="paused"):
        pause(workspace, PauseChange.PAUSE)
    pause(workspace, PauseChange.RESUME)
    with pytest.raises(AccessRefusedError, match="not paused"):
        pause(workspace, PauseChange.RESUME)
