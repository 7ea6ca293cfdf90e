"""What two hospitals see when node, chain or contract are not as they were."""

import shutil
from pathlib import Path

from benchmarks.nodes import node_accounts, start_anvil
from tests.cli.hospitals import CHAIN_ID, MR_FILE, Hospitals, Run


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
    alone = a("ledger", "audit", "--json")
    assert (alone.code, alone.json[0]["anchored_heads"]) == (0, None)
    assert "was not compared with the heads in the contract" in alone.err
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


def test_a_network_that_lost_everything_gets_it_back(
    hospitals: Hospitals, ct_file: Path, tmp_path: Path
) -> None:
    a, b = hospitals.a, hospitals.b
    ours, theirs = hospitals.sealed(a, ct_file), hospitals.sealed(b, MR_FILE)
    a("access", "grant", "ann", ours, "--action", "view")
    a("access", "grant", "bob", ours, "--action", "view")
    a("access", "revoke", "bob", ours)
    b("access", "grant", "bea", theirs, "--action", "classify", "--purpose", "treatment")
    for hospital in (a, b):
        assert hospital("ledger", "sync", "--until", "final").code == 0
    before = b("access", "list", "--json").json
    standing = a("ledger", "redeploy")
    assert (standing.code, "nothing is to be done" in standing.err) == (2, True)
    hospitals.node.restart(empty=True)
    lost = a("open", ours, "--as", "ann", "--output", "x")
    assert (lost.code, "set up anew" in lost.err) == (1, True)
    # Who did not put the contract there cannot put it back; who did finds it at its address.
    other = b("ledger", "redeploy")
    assert (other.code, "only the gateway that did" in other.err) == (2, True)
    again = a("ledger", "redeploy", "--json")
    assert (again.json[0]["contract"], again.json[0]["roles"]) == (hospitals.contract, ["owner"])
    assert "sync --until final" in again.err
    assert a("open", ours, "--as", "ann", "--output", "x").code == 1
    for hospital in (a, b):
        assert hospital("ledger", "sync", "--until", "final").err == ""
        [status] = hospital("ledger", "status", "--json").json
        assert (status["final"], status["refused"]) == (status["size"], 0)
    assert b("access", "list", "--json").json == before
    assert a("open", ours, "--as", "ann", "--output", "x.dcm").code == 0
    assert a("open", ours, "--as", "bob", "--output", "y.dcm").code == 1
    assert b("open", theirs, "--as", "bea", "--output", "y.dcm").code == 1
    # The proofs of before name blocks that are gone; new ones are the contract's again.
    key = (tmp_path / "a" / "log.vkey").read_text()
    assert a("ledger", "prove", ours, "--output", "receipt").code == 0
    online = ("--node", hospitals.node.url, "--contract", hospitals.contract, "--chain-id")
    (tmp_path / "pinned").write_text(key)
    verified = a("ledger", "verify", "receipt", "--log-key", "pinned", *online, CHAIN_ID)
    assert verified.code == 0


def test_a_chain_that_the_gateway_used_already_cannot_take_the_contract(
    hospitals: Hospitals,
) -> None:
    hospitals.node.restart(empty=True)
    sender = f"0x{node_accounts()[0].account}"
    hospitals.node.rpc("eth_sendTransaction", {"from": sender, "to": sender})
    finished = hospitals.a("ledger", "redeploy")
    assert (finished.code, finished.err.count("\n")) == (1, 1)
    assert "begin the network anew" in finished.err
    with start_anvil(chain_id=5) as other:
        elsewhere = hospitals.a("ledger", "redeploy", "--node", other.url)
    assert (elsewhere.code, "serves chain 5" in elsewhere.err) == (1, True)


def test_an_old_backup_that_was_restored_fails_the_audit(
    hospitals: Hospitals, ct_file: Path, tmp_path: Path
) -> None:
    a = hospitals.a
    hospitals.sealed(a, ct_file)
    assert a("ledger", "sync", "--until", "final").code == 0
    shutil.copytree(tmp_path / "a", tmp_path / "backup")
    [whole] = a("ledger", "audit", "--json").json
    hospitals.sealed(a, MR_FILE)
    assert a("ledger", "sync", "--until", "final").code == 0
    [later] = a("ledger", "audit", "--json").json
    assert later["anchored_heads"] == whole["anchored_heads"] + 1
    shutil.rmtree(tmp_path / "a")
    (tmp_path / "backup").rename(tmp_path / "a")
    finished = a("ledger", "audit")
    assert (finished.code, finished.err.count("\n")) == (1, 1)
    assert f"it has {whole['size']} entries" in finished.err
    assert f"has anchored {later['size']}; restore the newer copy" in finished.err
