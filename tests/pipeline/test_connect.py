"""A workspace joins a network: what is kept, what is pinned, what a failure leaves behind."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from eth_account import Account

from benchmarks.nodes import NodeProcess, node_accounts, start_anvil
from medseal.errors import (
    ChainMismatchError,
    ConfigurationError,
    KeystoreError,
    UnreachableError,
    WorkspaceError,
    WrongPassphraseError,
)
from medseal.ledger import EventKind
from medseal.pipeline.connect import JoinRequest, join, move
from medseal.pipeline.connection import KEY_NAME, NETWORKS, GatewayKey
from medseal.pipeline.network import NETWORK_FILE, NetworkSetting
from medseal.pipeline.seal import seal
from medseal.pipeline.workspace import OWNER, Workspace

PASSPHRASE = "correct horse"  # noqa: S105 (of throw-away workspaces)
ACCOUNT = node_accounts()[0].account


@pytest.fixture(scope="module")
def node() -> Iterator[NodeProcess]:
    with start_anvil() as started:
        yield started


@pytest.fixture
def path(tmp_path: Path) -> Path:
    Workspace.create(tmp_path / "workspace", PASSPHRASE).close()
    return tmp_path / "workspace"


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    stored = Account.encrypt(node_accounts()[0].key, PASSPHRASE, "scrypt", iterations=2)
    (tmp_path / "key.json").write_text(json.dumps(stored))
    return tmp_path / "key.json"


def test_a_workspace_deploys_and_lives_on_its_contract(
    path: Path, key_file: Path, node: NodeProcess, ct_file: Path
) -> None:
    joined = join(path, PASSPHRASE, JoinRequest(url=node.url, key_file=key_file))
    assert joined.roles == ("owner",)
    assert joined.address == f"0x{ACCOUNT}"
    with Workspace.open(path, PASSPHRASE) as workspace:
        assert workspace.owner == workspace.account_of(OWNER) == ACCOUNT
        assert set(workspace.names().values()) == {OWNER}
        assert workspace.log.network == f"{joined.chain_id}/{joined.contract}"
        [outcome] = seal(workspace, [ct_file])
        assert outcome.status == "sealed"
        kinds = [event.kind for _, event in workspace.log.events()]
        assert kinds == [EventKind.GENESIS, EventKind.NETWORK, EventKind.SEAL]
        assert (path / NETWORKS / f"{joined.chain_id}-{joined.contract}").is_dir()
        workspace.ledger.audit()
    with pytest.raises(WorkspaceError, match="on a network already"):
        join(path, PASSPHRASE, JoinRequest(url=node.url, key_file=key_file))


def test_no_key_stands_in_the_setting_or_shows_itself(
    path: Path, key_file: Path, node: NodeProcess
) -> None:
    join(path, PASSPHRASE, JoinRequest(url=node.url, key_file=key_file))
    key = node_accounts()[0].key
    for file in path.rglob("*"):
        if file.is_file():
            content = file.read_bytes()
            assert key not in content
            assert key.hex().encode() not in content
    setting = NetworkSetting.load(path)
    assert setting is not None
    with Workspace.open(path, PASSPHRASE) as workspace:
        shown = repr(GatewayKey(setting, workspace.keystore, PASSPHRASE))
    assert shown == f"GatewayKey(0x{ACCOUNT})"


def test_a_node_that_is_away_is_no_obstacle_after_joining(
    path: Path, key_file: Path, ct_file: Path
) -> None:
    with start_anvil() as gone:
        join(path, PASSPHRASE, JoinRequest(url=gone.url, key_file=key_file))
    with Workspace.open(path, PASSPHRASE) as workspace:
        [outcome] = seal(workspace, [ct_file])
        assert outcome.status == "sealed"
        workspace.record_event(EventKind.VERIFY, actor=workspace.owner)
        assert workspace.push(timeout_seconds=0.5).state == "queued"


def test_a_failure_leaves_the_workspace_as_it_was(
    path: Path, key_file: Path, node: NodeProcess
) -> None:
    address = f"0x{'ab' * 20}"
    with pytest.raises(ChainMismatchError, match="contract"):
        join(path, PASSPHRASE, JoinRequest(url=node.url, contract=address, key_file=key_file))
    with pytest.raises(UnreachableError, match="reached"):
        join(path, PASSPHRASE, JoinRequest(url="http://127.0.0.1:9", key_file=key_file))
    with pytest.raises(ConfigurationError, match="confirmations"):
        join(path, PASSPHRASE, JoinRequest(url=node.url, key_file=key_file, confirmations=-1))
    stored = Account.encrypt(node_accounts()[1].key, "another", "scrypt", iterations=2)
    key_file.write_text(json.dumps(stored))
    with pytest.raises(WrongPassphraseError, match="does not unlock"):
        join(path, PASSPHRASE, JoinRequest(url=node.url, key_file=key_file))
    with pytest.raises(WorkspaceError, match="is on no network"):
        move(path, PASSPHRASE, node.url)
    assert not (path / NETWORK_FILE).exists()
    with Workspace.open(path, PASSPHRASE) as workspace:
        assert workspace.network is None
        assert workspace.log.network == ""


def test_a_key_that_was_exchanged_signs_nothing(
    path: Path, key_file: Path, node: NodeProcess
) -> None:
    join(path, PASSPHRASE, JoinRequest(url=node.url, key_file=key_file))
    stored = Account.encrypt(node_accounts()[1].key, PASSPHRASE, "scrypt", iterations=2)
    key_file.write_text(json.dumps(stored))
    setting = NetworkSetting.load(path)
    assert setting is not None
    with Workspace.open(path, PASSPHRASE) as workspace:
        key = GatewayKey(setting, workspace.keystore, PASSPHRASE)
        with pytest.raises(KeystoreError, match="another one"):
            key.sign({})


def test_a_new_key_is_kept_before_it_is_used(path: Path, node: NodeProcess) -> None:
    with start_anvil() as poor:
        # Without a coin nothing is deployed; the key is there, and the same at the next try.
        with pytest.raises(UnreachableError, match="Insufficient funds"):
            join(path, PASSPHRASE, JoinRequest(url=poor.url))
        with Workspace.open(path, PASSPHRASE) as workspace:
            assert workspace.network is None
            kept = workspace.keystore.get(KEY_NAME)
    address = Account.from_key(kept).address.lower()
    node.rpc("anvil_setBalance", address, hex(10**18))
    joined = join(path, PASSPHRASE, JoinRequest(url=node.url))
    assert (joined.address, joined.roles) == (address, ("owner",))


def test_another_node_of_the_same_network_may_be_asked(
    path: Path, key_file: Path, node: NodeProcess
) -> None:
    joined = join(path, PASSPHRASE, JoinRequest(url=node.url, key_file=key_file))
    again = node.url.replace("127.0.0.1", "localhost")
    assert move(path, PASSPHRASE, again, contract=joined.contract) == joined
    setting = NetworkSetting.load(path)
    assert setting is not None
    assert setting.url == again
    with start_anvil(chain_id=5) as other, pytest.raises(ChainMismatchError, match="chain"):
        move(path, PASSPHRASE, other.url)
    with pytest.raises(WorkspaceError, match="for good"):
        move(path, PASSPHRASE, node.url, contract=f"0x{'ab' * 20}")
    assert NetworkSetting.load(path) == setting
