"""What a gateway has taken back holds at once; what it sends is carried on and told."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from eth_account import Account

from benchmarks.nodes import NodeProcess, node_accounts, start_anvil
from medseal.errors import AccessRefusedError
from medseal.ledger import (
    Action,
    ConsentChange,
    Event,
    Grant,
    PauseChange,
    Role,
    RoleChange,
    consent_event,
    grant_event,
    pause_event,
    revoke_event,
    role_event,
)
from medseal.ledger.ethereum.ledger import EthereumLedger
from medseal.pipeline.access import GrantRequest, decide, grant
from medseal.pipeline.connect import JoinRequest, join
from medseal.pipeline.connection import push_entry, waiting_restriction
from medseal.pipeline.seal import seal
from medseal.pipeline.workspace import Workspace

PASSPHRASE = "correct horse"  # noqa: S105 (of throw-away workspaces)
OWNER = node_accounts()[0].account
ANN, REX = "a" * 32, "b" * 32
VIEW = Action.VIEW


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
    join(path, PASSPHRASE, JoinRequest(url=node.url, key_file=tmp_path / "key.json"))
    with Workspace.open(path, PASSPHRASE) as opened:
        yield opened


@pytest.fixture
def ledger(workspace: Workspace) -> EthereumLedger:
    assert isinstance(workspace.ledger, EthereumLedger)
    return workspace.ledger


def send(ledger: EthereumLedger, *events: Event) -> None:
    for event in events:
        index = ledger.append(event).index
        assert push_entry(ledger, index, timeout_seconds=10) == "final"


def given(account: str, subject: str) -> Event:
    return grant_event(Grant(account=account, subject=subject, action=VIEW), actor=OWNER)


def test_what_was_taken_back_here_is_refused_before_the_contract_knows(
    ledger: EthereumLedger,
) -> None:
    subject, other = (f"sha256:{digit * 64}" for digit in "12")
    service = role_event(OWNER, Role.CONSENT_SERVICE, RoleChange.ADD, actor=OWNER)
    researcher = role_event(REX, Role.RESEARCHER, RoleChange.ADD, actor=OWNER)
    send(ledger, service, researcher, given(ANN, subject))

    def waits(account: str = ANN, about: str = subject, action: Action = VIEW) -> str:
        return waiting_restriction(ledger, account, about, action)

    assert waits() == ""
    # Recorded, and not sent yet.
    taken = ledger.append(revoke_event(ANN, subject, VIEW, actor=OWNER))
    assert ledger.may(ANN, subject, VIEW).allowed
    assert waits() == "revoked"
    assert (waits(account=REX), waits(about=other), waits(action=Action.SHARE)) == ("", "", "")
    assert push_entry(ledger, taken.index, timeout_seconds=10) == "final"
    assert waits() == ""
    withdrawn = consent_event(subject, ConsentChange.WITHDRAW, f"sha256:{'c' * 64}", actor=OWNER)
    ledger.append(withdrawn)
    # A withdrawal ends research, not the care of the patient.
    assert (waits(account=REX), waits(), waits(account=REX, about=other)) == ("withdrawn", "", "")
    ledger.append(revoke_event(ANN, subject, actor=OWNER))
    assert (waits(action=Action.SHARE), waits(account=REX)) == ("revoked", "withdrawn")
    ledger.append(role_event(REX, Role.RESEARCHER, RoleChange.REMOVE, actor=OWNER))
    assert waits(account=REX, about=other) == "revoked"
    pause = ledger.append(pause_event(PauseChange.PAUSE, actor=OWNER))
    assert waits(about=other) == "paused"
    assert push_entry(ledger, pause.index, timeout_seconds=10) == "final"
    # The contract knows the pause now; what is recorded meanwhile is anchored after it.
    resumed = ledger.append(pause_event(PauseChange.RESUME, actor=OWNER))
    assert push_entry(ledger, resumed.index, timeout_seconds=10) == "final"
    assert ledger.wait("final", 10).refused == 0
    assert waits(about=other) == ""


def test_the_workspace_itself_is_asked_for_no_leave(
    workspace: Workspace, ledger: EthereumLedger, ct_file: Path
) -> None:
    [outcome] = seal(workspace, [ct_file])
    image_id = outcome.image_id or ""
    record = workspace.catalogue.image(image_id)
    assert record is not None
    grant(workspace, GrantRequest(name="ann", image_id=image_id, action="view"))
    assert workspace.push() == "final"
    ann = workspace.account_of("ann")
    assert decide(workspace, record, ann, "view", purpose=None).reason == "granted"
    ledger.append(revoke_event(ann, record.commitment, actor=OWNER))
    refused = decide(workspace, record, ann, "view", purpose=None)
    assert (refused.allowed, refused.reason) == (False, "revoked")
    assert decide(workspace, record, workspace.owner, "share", purpose=None).reason == "owner"


def test_what_the_contract_refuses_is_raised(ledger: EthereumLedger, node: NodeProcess) -> None:
    # The contract is paused by another sender of the account, between recording and sending.
    index = ledger.append(pause_event(PauseChange.PAUSE, actor=OWNER)).index
    node.rpc("anvil_impersonateAccount", f"0x{OWNER}")
    sent = {"from": f"0x{OWNER}", "to": ledger.contract.address, "data": "0x8456cb59"}
    node.rpc("eth_sendTransaction", sent)
    with pytest.raises(AccessRefusedError, match=f"refused entry {index}"):
        push_entry(ledger, index, timeout_seconds=10)
