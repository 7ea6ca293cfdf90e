"""Two hospitals with a workspace each, on one contract of a real node."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pydicom
from eth_account import Account

from benchmarks.nodes import NodeProcess, node_accounts

PASSPHRASE = "correct horse"  # noqa: S105 (of throw-away keys)
CHAIN_ID = 31337
MR_FILE = Path(pydicom.__file__).parent / "data" / "test_files" / "MR_small.dcm"
Run = Callable[..., Any]


def keystore(path: Path, number: int) -> Path:
    """Write the key of a rich account of the test nodes; its cost is low, to save seconds."""
    stored = Account.encrypt(node_accounts()[number].key, PASSPHRASE, "scrypt", iterations=2)
    path.write_text(json.dumps(stored))
    return path


@dataclass(frozen=True)
class Hospitals:
    """Workspaces `a`, which owns the contract, and `b`, a registrar."""

    run: Run
    node: NodeProcess
    contract: str
    gateway_b: str

    def a(self, *words: str | Path) -> Any:
        return self.run(*words, "--workspace", "a")

    def b(self, *words: str | Path) -> Any:
        return self.run(*words, "--workspace", "b")

    def sealed(self, hospital: Run, file: Path) -> str:
        [line] = hospital("seal", file, "--json").json
        assert line["status"] == "sealed"
        found: str = line["image_id"]
        return found


@dataclass(frozen=True)
class Template:
    """What every test starts from a copy of: two workspaces and a chain."""

    folder: Path
    contract: str
    gateway_b: str
