"""Two hospitals on one contract, through the real command line and a real node."""

import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from benchmarks.nodes import NodeProcess, node_accounts
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
from tests.cli.hospitals import CHAIN_ID, MR_FILE, PASSPHRASE, Hospitals, Run, keystore


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
