"""A word that nobody used before reaches a shared chain only when somebody asks for it."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from eth_account import Account

from benchmarks.nodes import NodeProcess, node_accounts, start_anvil
from medseal.errors import AccessRefusedError
from medseal.ledger import EventKind
from medseal.pipeline.access import GrantRequest, grant
from medseal.pipeline.connect import JoinRequest, join
from medseal.pipeline.purposes import PURPOSES, purpose_word
from medseal.pipeline.seal import seal
from medseal.pipeline.workspace import Workspace

PASSPHRASE = "correct horse"  # noqa: S105 (of throw-away workspaces)


@pytest.fixture(scope="module")
def node() -> Iterator[NodeProcess]:
    with start_anvil() as started:
        yield started


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Workspace]:
    with Workspace.create(tmp_path / "workspace", PASSPHRASE) as made:
        yield made


def give(workspace: Workspace, image_id: str, purpose: str, *, new: bool = False) -> None:
    request = GrantRequest(
        name="ann", image_id=image_id, action="view", purpose=purpose, new_purpose=new
    )
    grant(workspace, request)


def sealed(workspace: Workspace, image: Path) -> str:
    [outcome] = seal(workspace, [image])
    return outcome.image_id or ""


def joined(workspace: Workspace, node: NodeProcess, folder: Path) -> Workspace:
    """Close a workspace and open it on a new contract of the node."""
    workspace.close()
    stored = Account.encrypt(node_accounts()[0].key, PASSPHRASE, "scrypt", iterations=2)
    (folder / "key.json").write_text(json.dumps(stored))
    request = JoinRequest(url=node.url, key_file=folder / "key.json", max_head_age_seconds=None)
    join(workspace.path, PASSPHRASE, request)
    return Workspace.open(workspace.path, PASSPHRASE)


def purposes(workspace: Workspace) -> list[object]:
    return [
        event.details.get("purpose")
        for _, event in workspace.log.events()
        if event.kind is EventKind.GRANT
    ]


def test_the_known_codes_are_purposes() -> None:
    assert list(PURPOSES) == sorted({purpose_word(word) for word in PURPOSES})


def test_without_a_network_any_word_will_do(workspace: Workspace, ct_file: Path) -> None:
    give(workspace, sealed(workspace, ct_file), "study-7")
    assert purposes(workspace) == ["study-7"]


def test_a_new_word_is_refused_on_a_network_until_it_is_asked_for(
    workspace: Workspace, node: NodeProcess, ct_file: Path, tmp_path: Path
) -> None:
    image_id = sealed(workspace, ct_file)
    give(workspace, image_id, "of-before")
    with joined(workspace, node, tmp_path) as opened:
        for word in ("jane-doe", "Second opinions", "of-before-"):
            with pytest.raises(AccessRefusedError, match="names nobody") as refused:
                give(opened, image_id, word)
            assert refused.value.reason == "purpose"
        give(opened, image_id, "Second opinion")
        give(opened, image_id, "of-before")
        give(opened, image_id, "study-7", new=True)
        give(opened, image_id, "study-7")
        expected = ["of-before", "second-opinion", "of-before", "study-7", "study-7"]
        assert purposes(opened) == expected
