"""Who is asked for leave, and how an event that is sent is carried on and told."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from eth_account import Account

from benchmarks.nodes import NodeProcess, node_accounts, start_anvil
from medseal.errors import AccessRefusedError
from medseal.ledger import (
    PauseChange,
    Role,
    RoleChange,
    break_glass_event,
    pause_event,
    revoke_event,
    role_event,
)
from medseal.ledger.ethereum.ledger import EthereumLedger
from medseal.pipeline.access import GrantRequest, decide, grant
from medseal.pipeline.connect import JoinRequest, join
from medseal.pipeline.connection import push_entry
from medseal.pipeline.seal import seal
from medseal.pipeline.workspace import Workspace

PASSPHRASE = "correct horse"  # noqa: S105 (of throw-away workspaces)
OWNER = node_accounts()[0].account
# Calls of the contract by somebody else with the key of its owner.
PAUSE, RESUME = "0x8456cb59", "0x3f4ba83a"


@pytest.fixture(scope="module")
def node() -> Iterator[NodeProcess]:
    with start_anvil() as started:
        yield started


@pytest.fixture
def workspace(tmp_path: Path, node: NodeProcess) -> Iterator[Workspace]:
    path = tmp_path / "workspace"
    Workspace.create(path, PASSPHRASE).close()
    stored = Account.encrypt(node_accounts()[0].key, PASSPHRASE, "scrypt", iterations=2)
    (tmp_path / "key.json").write_text(json.dumps(stored))
    # This node makes blocks of transactions alone, so its head may be of any age.
    request = JoinRequest(url=node.url, key_file=tmp_path / "key.json", max_head_age_seconds=None)
    join(path, PASSPHRASE, request)
    with Workspace.open(path, PASSPHRASE) as opened:
        yield opened


@pytest.fixture
def ledger(workspace: Workspace) -> EthereumLedger:
    assert isinstance(workspace.ledger, EthereumLedger)
    return workspace.ledger


def test_the_workspace_itself_is_asked_for_no_leave(
    workspace: Workspace, ledger: EthereumLedger, ct_file: Path
) -> None:
    [outcome] = seal(workspace, [ct_file])
    image_id = outcome.image_id or ""
    record = workspace.catalogue.image(image_id)
    assert record is not None
    grant(workspace, GrantRequest(name="ann", image_id=image_id, action="view"))
    assert workspace.push().state == "final"
    ann = workspace.account_of("ann")
    assert decide(workspace, record, ann, "view", purpose=None).reason == "granted"
    ledger.append(revoke_event(ann, record.commitment, actor=OWNER))
    refused = decide(workspace, record, ann, "view", purpose=None)
    assert (refused.allowed, refused.reason) == (False, "revoked")
    assert decide(workspace, record, workspace.owner, "share", purpose=None).reason == "owner"


def test_what_waits_for_leave_is_returned_at_once(
    workspace: Workspace, ledger: EthereumLedger, node: NodeProcess, ct_file: Path
) -> None:
    [outcome] = seal(workspace, [ct_file])
    record = workspace.catalogue.image(outcome.image_id or "")
    assert record is not None
    ledger.append(role_event(OWNER, Role.RADIOLOGIST, RoleChange.ADD, actor=OWNER))
    ledger.wait("final", 10)
    node.pause()
    broken = break_glass_event(record.commitment, "sha256:" + "c3" * 32, actor=OWNER)
    index = ledger.append(broken).index
    away = push_entry(ledger, index, timeout_seconds=60)
    assert (away.state, away.detail) == ("queued", "")
    node.resume()
    node.rpc("anvil_impersonateAccount", f"0x{OWNER}")
    call = {"from": f"0x{OWNER}", "to": ledger.contract.address}
    node.rpc("eth_sendTransaction", call | {"data": PAUSE})
    waits = push_entry(ledger, index, timeout_seconds=60)
    assert (waits.state, waits.detail) == ("queued", "paused")
    node.rpc("eth_sendTransaction", call | {"data": RESUME})
    assert push_entry(ledger, index, timeout_seconds=60).state == "final"


def test_what_the_contract_refuses_is_raised(ledger: EthereumLedger, node: NodeProcess) -> None:
    # The contract is paused by another sender of the account, between recording and sending.
    index = ledger.append(pause_event(PauseChange.PAUSE, actor=OWNER)).index
    node.rpc("anvil_impersonateAccount", f"0x{OWNER}")
    sent = {"from": f"0x{OWNER}", "to": ledger.contract.address, "data": PAUSE}
    node.rpc("eth_sendTransaction", sent)
    with pytest.raises(AccessRefusedError, match=f"refused entry {index}"):
        push_entry(ledger, index, timeout_seconds=10)
