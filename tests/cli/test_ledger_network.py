"""Two hospitals on one contract, through the real command line and a real node."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pydicom
import pytest
from eth_account import Account

from benchmarks.nodes import NodeProcess, node_accounts, start_anvil
from medseal.ledger import (
    Consent,
    ConsentChange,
    ConsentDomain,
    new_patient_key,
    now_ms,
    patient_address,
    sign_consent,
)
from medseal.ledger.consent import NO_NETWORK
from medseal.pipeline.connect import JoinRequest, join
from medseal.pipeline.network import NetworkSetting
from medseal.pipeline.roles import change_role
from medseal.pipeline.workspace import Workspace

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


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Template:
    folder = tmp_path_factory.mktemp("hospitals")
    keys = [keystore(folder / f"{number}.json", number) for number in (0, 1)]
    with start_anvil(state=folder / "chain.json") as node:
        for name in "ab":
            Workspace.create(folder / name, PASSPHRASE).close()
        # This node makes blocks of transactions alone, so its head may be of any age.
        request = JoinRequest(url=node.url, key_file=keys[0], max_head_age_seconds=None)
        contract = join(folder / "a", PASSPHRASE, request).contract
        request = replace(request, key_file=keys[1], contract=contract)
        gateway_b = join(folder / "b", PASSPHRASE, request).address
        with Workspace.open(folder / "a", PASSPHRASE) as workspace:
            change_role(workspace, gateway_b, "registrar", add=True)
            assert workspace.push().state == "final"
        # Ends and writes its chain.
        node.stop()
    return Template(folder=folder, contract=contract, gateway_b=gateway_b)


@pytest.fixture
def node(tmp_path: Path) -> Iterator[NodeProcess]:
    with start_anvil(state=tmp_path / "chain.json") as started:
        yield started


@pytest.fixture
def hospitals(medseal: Run, template: Template, tmp_path: Path) -> Iterator[Hospitals]:
    shutil.copytree(template.folder, tmp_path, dirs_exist_ok=True)
    with start_anvil(state=tmp_path / "chain.json") as node:
        for name in "ab":
            setting = NetworkSetting.load(tmp_path / name)
            assert setting is not None
            replace(setting, url=node.url).save(tmp_path / name)
        yield Hospitals(
            run=medseal, node=node, contract=template.contract, gateway_b=template.gateway_b
        )


def test_one_contract_judges_for_two_hospitals(hospitals: Hospitals, ct_file: Path) -> None:
    a, b = hospitals.a, hospitals.b
    ours, theirs = hospitals.sealed(a, ct_file), hospitals.sealed(b, MR_FILE)
    assert a("open", ours, "--as", "ann", "--output", "x").code == 1
    [given] = a("access", "grant", "ann", ours, "--action", "view", "--json").json
    assert given["state"] == "final"
    assert a("open", ours, "--as", "ann", "--output", "x.dcm").code == 0
    [given] = b("access", "grant", "bea", theirs, "--action", "classify", "--json").json
    assert given["state"] == "final"
    refused = b("open", theirs, "--as", "bea", "--output", "y")
    assert (refused.code, "(no-grant)" in refused.err) == (1, True)
    assert b("open", theirs, "--output", "y.dcm").code == 0
    # Each sees the grants of both, and names its own people only.
    rows = a("access", "list", "--json").json
    assert {(row["name"], row["image_id"], row["status"]) for row in rows} >= {
        ("ann", ours, "valid")
    }
    assert len(rows) == len(b("access", "list", "--json").json) == 2
    assert a("access", "revoke", "ann", ours).code == 0
    assert a("open", ours, "--as", "ann", "--output", "x").code == 1
    # What only the owner of the contract may do.
    paused = b("access", "pause")
    assert (paused.code, paused.err.count("\n")) == (1, 1)
    assert a("access", "pause").code == 0
    held = b("open", theirs, "--as", "bea", "--output", "y")
    assert (held.code, "(paused)" in held.err) == (1, True)


def test_the_trail_tells_what_a_contract_allowed(hospitals: Hospitals, ct_file: Path) -> None:
    ours = hospitals.sealed(hospitals.a, ct_file)
    grant = ("access", "grant", "ann", ours, "--action", "view", "--purpose", "study-7")
    hospitals.a(*grant, "--new-purpose")
    opened = ("open", ours, "--as", "ann", "--purpose", "study-7", "--output", "x.dcm")
    assert hospitals.a(*opened).code == 0
    hospitals.a("ledger", "sync", "--until", "final")
    rows = hospitals.a("ledger", "audit", ours, "--proofs", "p", "--names", "--json").json
    assert [row["kind"] for row in rows] == ["seal", "grant", "open"]
    assert (rows[2]["reason"], rows[2]["purpose"]) == ("granted", "study-7")
    assert rows[0]["name"] == rows[1]["name"] == "owner"
    assert all(b"\nanchor {" in Path(row["proof"]).read_bytes() for row in rows)


def test_a_node_that_is_away_costs_decisions_only(
    hospitals: Hospitals, ct_file: Path, tmp_path: Path
) -> None:
    a = hospitals.a
    ours = hospitals.sealed(a, ct_file)
    a("access", "grant", "ann", ours, "--action", "view")
    a("ledger", "sync", "--until", "final")
    hospitals.node.stop()
    refused = a("open", ours, "--as", "ann", "--output", "x")
    assert (refused.code, refused.err.count("\n")) == (1, 1)
    assert "(unreachable); no node of the network answers" in refused.err
    # The work of the hospital itself goes on.
    second = hospitals.sealed(a, MR_FILE)
    assert a("open", ours, "--output", "x.dcm").code == 0
    copied = a("release", ours, "--to", "bob", "--output", "copy.dcm", "--json")
    assert copied.code == 0
    assert a("ledger", "audit").code == 0
    [revoked] = a("access", "revoke", "ann", ours, "--json").json
    [granted] = a("access", "grant", "ann", second, "--action", "view", "--json").json
    assert (revoked["state"], granted["state"]) == ("queued", "queued")
    [status] = a("ledger", "status", "--json").json
    assert status["node"] == "unreachable"
    assert status["queued"] >= 5
    gone = a("ledger", "sync", "--until", "final", "--timeout", "0.5")
    assert (gone.code, "queued" in gone.err) == (1, True)
    receipt = tmp_path / "a" / "receipts" / f"{second}.receipt"
    key = ("--log-key", "a/log.vkey")
    assert a("ledger", "verify", receipt, *key).code == 0
    # Back again, at the same address. What was taken back here holds before the contract knows.
    hospitals.node.restart()
    early = a("open", ours, "--as", "ann", "--output", "x")
    assert (early.code, "(revoked)" in early.err) == (1, True)
    steps = a("ledger", "sync", "--watch", "--json").json
    size = a("ledger", "status", "--json").json[0]["size"]
    assert steps[-1] == {
        "recovered": 0, "queued": 0, "submitted": 0, "mined": 0, "final": size, "refused": 0,
    }  # fmt: skip
    assert a("open", ours, "--as", "ann", "--output", "x").code == 1
    assert a("open", second, "--as", "ann", "--output", "x.dcm").code == 0


def test_emergency_and_consent_reach_the_contract(
    hospitals: Hospitals, ct_file: Path, tmp_path: Path
) -> None:
    a, ours = hospitals.a, hospitals.sealed(hospitals.a, ct_file)
    a("access", "role", "add", "ann", "emergency")
    broken = a("access", "break-glass", "ann", ours, "--reason", "unconscious", "--json")
    assert broken.json[0]["state"] == "final"
    assert a("open", ours, "--as", "ann", "--output", "x.dcm").code == 0
    [row] = a("access", "review", "--json").json
    assert (row["name"], row["is_open"], len(row["uses"])) == ("ann", True, 1)
    until = ("--until", f"{datetime.now(UTC) + timedelta(days=30):%Y-%m-%d}")
    purpose = ("--purpose", "study-7")
    role = ("--role", "researcher")
    grant = ("access", "grant", "rex", ours, "--action", "view", *purpose, *until, *role)
    assert a(*grant, "--new-purpose").code == 0
    opened = ("open", ours, "--as", "rex", *purpose, "--output", "x.dcm")
    assert a(*opened).code == 0
    a("access", "role", "add", "owner", "consent-service")
    key, [sealed] = new_patient_key(), a("ledger", "audit", ours, "--json").json[:1]
    said = Consent(subject=sealed["subject"], change=ConsentChange.WITHDRAW, issued_ms=now_ms())
    domain = ConsentDomain(chain_id=CHAIN_ID, contract=hospitals.contract)
    (tmp_path / "consent").write_bytes(sign_consent(said, domain, key).to_bytes())
    signer = ("--signer", patient_address(key))
    [told] = a("access", "consent", "withdraw", ours, "consent", *signer, "--json").json
    assert told["state"] == "final"
    refused = a(*opened)
    assert (refused.code, "(withdrawn)" in refused.err) == (1, True)


def test_withdrawals_from_before_joining_hold_and_are_carried_over(
    medseal: Run, node: NodeProcess, ct_file: Path, tmp_path: Path
) -> None:
    medseal("init")
    [sealed] = medseal("seal", ct_file, "--json").json
    ours = sealed["image_id"]
    medseal("access", "role", "add", "owner", "consent-service")
    key, [first] = new_patient_key(), medseal("ledger", "audit", ours, "--json").json[:1]

    def say(change: ConsentChange, domain: ConsentDomain) -> None:
        said = Consent(subject=first["subject"], change=change, issued_ms=now_ms())
        (tmp_path / "consent").write_bytes(sign_consent(said, domain, key).to_bytes())
        signer = ("--signer", patient_address(key))
        assert medseal("access", "consent", change, ours, "consent", *signer).code == 0

    say(ConsentChange.WITHDRAW, NO_NETWORK)
    key_file = keystore(tmp_path / "key.json", 0)
    deployed = medseal(
        "ledger", "deploy", node.url, "--key-file", key_file, "--max-head-age", "0", "--json"
    )
    [made] = deployed.json
    assert (made["withdrawals"], "carry-withdrawals" in deployed.err) == (1, True)
    until = ("--until", f"{datetime.now(UTC) + timedelta(days=30):%Y-%m-%d}")
    research = ("--purpose", "study-7", "--role", "researcher", *until)
    medseal("access", "grant", "rex", ours, "--action", "view", "--new-purpose", *research)
    medseal("access", "grant", "ann", ours, "--action", "view")
    opened = ("open", ours, "--as", "rex", "--purpose", "study-7", "--output", "x.dcm")
    # The contract would allow it: it knows of no withdrawal.
    assert "(withdrawn)" in medseal(*opened).err
    assert medseal("open", ours, "--as", "ann", "--output", "x.dcm").code == 0
    refused = medseal("access", "carry-withdrawals")
    assert (refused.code, "consent" in refused.err) == (1, True)
    medseal("access", "role", "add", "owner", "consent-service")
    [carried] = medseal("access", "carry-withdrawals", "--json").json
    assert carried == {"withdrawals": 1, "state": "final", "detail": ""}
    assert medseal("access", "carry-withdrawals", "--json").json[0]["withdrawals"] == 0
    assert "(withdrawn)" in medseal(*opened).err
    say(ConsentChange.GIVE, ConsentDomain(chain_id=CHAIN_ID, contract=made["contract"]))
    assert medseal(*opened).code == 0


def test_an_anchor_is_checked_online(hospitals: Hospitals, ct_file: Path) -> None:
    ours = hospitals.sealed(hospitals.a, ct_file)
    early = ("ledger", "prove", ours, "--output", "early", "--without-opening")
    assert hospitals.a(*early).code == 0
    hospitals.a("ledger", "sync", "--until", "final")
    assert hospitals.a("ledger", "prove", ours, "--output", "receipt").code == 0

    def online(receipt: str, contract: str, chain_id: int) -> Any:
        return hospitals.run(
            "ledger", "verify", receipt, "--log-key", "a/log.vkey", "--node", hospitals.node.url,
            "--contract", contract, "--chain-id", str(chain_id), "--json",
        )  # fmt: skip

    [value] = online("receipt", hospitals.contract, CHAIN_ID).json
    assert value["confirmations"] >= 1
    assert value["anchored_by"] == f"0x{node_accounts()[0].account}"
    assert online("early", hospitals.contract, CHAIN_ID).code == 1
    elsewhere = online("receipt", f"0x{'ab' * 20}", CHAIN_ID)
    assert (elsewhere.code, "anchored in" in elsewhere.err) == (1, True)
    assert online("receipt", hospitals.contract, 5).code == 1
    half = hospitals.run(
        "ledger", "verify", "receipt", "--log-key", "a/log.vkey", "--contract", hospitals.contract
    )
    assert (half.code, "belong together" in half.err) == (2, True)


def test_what_the_contract_does_not_take_yet_waits_and_says_why(
    hospitals: Hospitals, ct_file: Path
) -> None:
    ours = hospitals.sealed(hospitals.b, ct_file)
    role = ("access", "role", "{}", hospitals.gateway_b, "registrar")
    assert hospitals.a(*(word.format("remove") for word in role)).code == 0
    grant = ("access", "grant", "bea", ours, "--action", "view")
    refused = hospitals.b(*grant)
    assert (refused.code, refused.err.count("\n")) == (1, 1)
    assert "registrar" in refused.err
    hospitals.node.stop()
    [queued] = hospitals.b(*grant, "--json").json
    assert queued["state"] == "queued"
    hospitals.node.restart()
    told = hospitals.b("ledger", "sync")
    assert "this gateway is no registrar, its owner runs 'medseal access role add'" in told.err
    [status] = hospitals.b("ledger", "status", "--json").json
    assert status["refused"] == 0
    assert status["waiting"]["not-registrar"] >= 1
    assert "wait: this gateway is no registrar" in hospitals.b("ledger", "status").out
    assert hospitals.a(*(word.format("add") for word in role)).code == 0
    assert hospitals.b("ledger", "sync", "--until", "final").err == ""
    [listed] = [row for row in hospitals.b("access", "list", "--json").json if row["name"] == "bea"]
    assert (listed["image_id"], listed["action"]) == (ours, "view")


def test_what_the_contract_refuses_is_said_at_once_or_shown_later(
    medseal: Run, hospitals: Hospitals, ct_file: Path
) -> None:
    hospitals.sealed(hospitals.b, ct_file)
    role = ("access", "role", "add", "bea", "auditor")
    refused = hospitals.b(*role)
    assert (refused.code, refused.err.count("\n")) == (1, 1)
    assert "owner" in refused.err
    hospitals.node.stop()
    [queued] = hospitals.b(*role, "--json").json
    assert (queued["state"], queued["detail"]) == ("queued", "")
    hospitals.node.restart()
    medseal("ledger", "sync", "--until", "final", "--workspace", "b")
    [status] = hospitals.b("ledger", "status", "--json").json
    assert status["refused"] == 1
    index = int(Path(queued["receipt"]).stem.removeprefix("event-"))
    assert [each["index"] for each in status["refusals"]] == [index]
    assert f"refused entry {index}: " in hospitals.b("ledger", "status").out


def test_another_chain_is_refused(hospitals: Hospitals, ct_file: Path) -> None:
    ours = hospitals.sealed(hospitals.a, ct_file)
    with start_anvil(chain_id=5) as other:
        finished = hospitals.a("open", ours, "--as", "ann", "--output", "x", "--node", other.url)
        assert (finished.code, finished.err.count("\n")) == (1, 1)
        assert "chain" in finished.err
        moved = hospitals.a("ledger", "connect", other.url)
        assert moved.code == 1
    with start_anvil() as empty:
        finished = hospitals.a("ledger", "sync", "--node", empty.url)
        assert (finished.code, finished.err.count("\n")) == (1, 1)
    assert hospitals.a("ledger", "connect", hospitals.node.url).code == 0


def test_a_key_is_made_inside_the_keystore(
    medseal: Run, hospitals: Hospitals, ct_file: Path, tmp_path: Path
) -> None:
    medseal("init", "--workspace", "c")
    joined = medseal(
        "ledger", "connect", hospitals.node.url, "--contract", hospitals.contract, "--new-key",
        "--workspace", "c", "--json",
    )  # fmt: skip
    gateway = joined.json[0]["gateway"]
    assert joined.json[0]["roles"] == []
    assert "key_file" in json.loads((tmp_path / "c" / "network.json").read_text())
    hospitals.node.rpc("anvil_setBalance", gateway, hex(10**18))
    hospitals.a("access", "role", "add", gateway, "registrar")
    [line] = medseal("seal", ct_file, "--workspace", "c", "--json").json
    grant = ("access", "grant", "cy", line["image_id"], "--action", "view", "--workspace", "c")
    assert medseal(*grant, "--json").json[0]["state"] == "final"
    assert medseal("ledger", "sync", "--until", "final", "--workspace", "c").code == 0


def test_wrong_uses_are_named_and_change_nothing(
    medseal: Run, node: NodeProcess, tmp_path: Path
) -> None:
    medseal("init")
    key = ("--key-file", keystore(tmp_path / "key.json", 0))
    address = f"0x{'ab' * 20}"
    dead = "http://127.0.0.1:9"
    for words, code, expected in (
        (("deploy", node.url), 2, "either --key-file or --new-key"),
        (("deploy", node.url, *key, "--new-key"), 2, "either --key-file or --new-key"),
        (("connect", node.url), 2, "is on no network"),
        (("connect", node.url, *key), 2, "give --contract"),
        (("connect", node.url, "--contract", address, *key), 1, "contract"),
        (("connect", node.url, "--contract", "0x1", *key), 2, "0x"),
        (("connect", "ftp://host", "--contract", address, *key), 2, "a node is given as"),
        (("deploy", "http://u:secret@127.0.0.1:9", *key), 2, "kept openly"),
        (("connect", dead, "--contract", address, *key), 1, "reached"),
        (("deploy", node.url, "--key-file", "missing.json"), 1, "missing.json"),
    ):
        finished = medseal("ledger", *words)
        assert (finished.code, finished.err.count("\n")) == (code, 1), finished.err
        assert expected in finished.err
        assert "secret" not in finished.err
        assert not (tmp_path / ".medseal" / "network.json").exists()
    [made] = medseal("ledger", "deploy", node.url, *key, "--json").json
    assert (made["chain_id"], made["roles"]) == (CHAIN_ID, ["owner"])
    twice = medseal("ledger", "deploy", node.url, *key)
    assert (twice.code, "on a network already" in twice.err) == (2, True)
    other = medseal("ledger", "connect", node.url, "--contract", address)
    assert (other.code, "for good" in other.err) == (2, True)


def test_without_the_extra_one_line_says_what_to_install(
    hospitals: Hospitals, tmp_path: Path
) -> None:
    assert hospitals.contract
    script = "import sys; sys.modules['web3'] = None\nfrom medseal.cli import main; main()"
    finished = subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-c", script, "ledger", "status", "--workspace", "a"],
        cwd=tmp_path,
        env={**os.environ, "MEDSEAL_PASSPHRASE": PASSPHRASE},
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.returncode == 2
    assert finished.stderr.count("\n") == 1
    assert "pip install 'medseal[network]'" in finished.stderr
