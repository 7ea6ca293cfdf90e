"""The files of a Besu network. No node reads them here: no container engine runs these tests."""

import json
import os
import stat
import subprocess
import sys
import tomllib
from collections.abc import Callable
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import pytest
from eth_keys.datatypes import PrivateKey

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "deploy" / "make_network.py"
ACCOUNT = "0x" + "ab" * 20
OTHER = "0x" + "cd" * 20

_spec = spec_from_file_location("make_network", SCRIPT)
assert _spec is not None
assert _spec.loader is not None
make_network = module_from_spec(_spec)
_spec.loader.exec_module(make_network)
NetworkError = make_network.NetworkError

# The example of the QBFT page of Besu's documentation.
BESU_EXTRA_DATA = (
    "0xf87aa00000000000000000000000000000000000000000000000000000000000000000f8549464a702e6263b7"
    "297a96638cac6ae65e6541f4169943923390ad55e90c237593b3b0e401f3b08a0318594aefdb9a738c9f433e5b6"
    "b212a6d62f6370c2f69294c7eeb9a4e00ce683cf93039b212648e01c6c6b78c080c0"
)
BESU_VALIDATORS = [
    "0x64a702e6263b7297a96638cac6ae65e6541f4169",
    "0x3923390ad55e90c237593b3b0e401f3b08a03185",
    "0xaefdb9a738c9f433e5b6b212a6d62f6370c2f692",
    "0xc7eeb9a4e00ce683cf93039b212648e01c6c6b78",
]


def validators(count: int = 4) -> list[str]:
    return [f"0x{number:040x}" for number in range(1, count + 1)]


def everything(folder: Path) -> dict[str, bytes]:
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A network of four validators."""
    assert make_network.main(["local", str(tmp_path / "net"), "--account", ACCOUNT]) == 0
    return tmp_path / "net"


def test_extra_data_has_the_form_of_besus_documentation() -> None:
    ordered = sorted(BESU_VALIDATORS)
    # The page lists its addresses in another order, which decodes all the same.
    swapped = BESU_EXTRA_DATA
    for one, other in zip(BESU_VALIDATORS, ordered, strict=True):
        at = BESU_EXTRA_DATA.index(one[2:])
        swapped = swapped[:at] + other[2:] + swapped[at + 40 :]
    assert make_network.extra_data(BESU_VALIDATORS) == swapped
    assert make_network.validators_of(swapped) == ordered


@pytest.mark.parametrize("count", [4, 5, 7, 31])
def test_extra_data_decodes_back_to_the_validators(count: int) -> None:
    expected = validators(count)
    assert make_network.validators_of(make_network.extra_data(expected[::-1])) == expected


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        ("0x", "no list of validators"),
        ("0xzz", "no list of validators"),
        ("0xc0", "no list of validators"),
        (make_network.extra_data(validators())[:-2], "no list of validators"),
        (make_network.extra_data(validators()).upper().replace("X", "x"), "canonical"),
        (BESU_EXTRA_DATA, "canonical"),
        ("0x" + make_network.rlp.encode([bytes(32), [b"short"], [], 0, []]).hex(), "no address"),
    ],
)
def test_other_extra_data_is_refused(extra: str, message: str) -> None:
    with pytest.raises(NetworkError, match=message):
        make_network.validators_of(extra)


def test_the_example_genesis_is_one_that_the_script_makes() -> None:
    value = json.loads((ROOT / "deploy" / "genesis.example.json").read_text())
    assert len(make_network.check_genesis(value)) == 4


def test_the_genesis_is_free_of_fees_and_runs_the_contract() -> None:
    config = make_network.genesis(validators(), 7)["config"]
    assert config["zeroBaseFee"] is True
    assert config["shanghaiTime"] == 0
    assert config["qbft"] == {
        "blockperiodseconds": 1,
        "requesttimeoutseconds": 4,
        "epochlength": 30000,
    }


def change_config(name: str, value: object) -> Callable[[dict[str, Any]], None]:
    return lambda genesis: genesis["config"].__setitem__(name, value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (change_config("zeroBaseFee", False), "another 'config'"),
        (change_config("cancunTime", 0), "another 'config'"),
        (change_config("chainId", 0), "chain id"),
        (change_config("chainId", "7"), "chain id"),
        (lambda genesis: genesis["config"].pop("chainId"), "lacks chainId"),
        (lambda genesis: genesis["config"].pop("qbft"), "another 'config'"),
        (lambda genesis: genesis.pop("extraData"), "lacks chainId or extraData"),
        (lambda genesis: genesis.update(mixHash="0x" + "00" * 32), "another 'mixHash'"),
        (lambda genesis: genesis.update(alloc={ACCOUNT: {"balance": "1"}}), "another 'alloc'"),
        (lambda genesis: genesis.update(number="0x0"), "another 'number'"),
        (
            lambda genesis: genesis.update(extraData=make_network.extra_data(validators(3))),
            "3 validators tolerate no loss",
        ),
        (
            lambda genesis: genesis.update(
                extraData=make_network.extra_data([*validators(3), *validators(1)])
            ),
            "same key",
        ),
    ],
)
def test_another_genesis_is_refused(change: Callable[[dict[str, Any]], None], message: str) -> None:
    value = make_network.genesis(validators(), 7)
    assert make_network.check_genesis(value) == validators()
    change(value)
    with pytest.raises(NetworkError, match=message):
        make_network.check_genesis(value)


def test_a_local_network_fits_together(folder: Path) -> None:
    genesis = json.loads((folder / "network" / "genesis.json").read_text())
    nodes = [json.loads((folder / f"validator{n}" / "node.json").read_text()) for n in (1, 2, 3, 4)]
    assert make_network.check_genesis(genesis) == sorted(node["address"] for node in nodes)
    enodes = sorted(node["enode"] for node in nodes)
    assert json.loads((folder / "network" / "static-nodes.json").read_text()) == enodes
    permissions = tomllib.loads((folder / "network" / "permissions_config.toml").read_text())
    assert permissions == {"nodes-allowlist": enodes, "accounts-allowlist": [ACCOUNT]}
    for number, node in enumerate(nodes, 1):
        key = PrivateKey(bytes.fromhex((folder / f"validator{number}" / "key").read_text()))
        public = key.public_key
        assert node["address"] == "0x" + public.to_canonical_address().hex()
        ip = f"172.28.5.{10 + number}"
        assert node["enode"] == f"enode://{public.to_bytes().hex()}@{ip}:30303"


def test_keys_are_for_their_owner_alone_and_nowhere_else(folder: Path) -> None:
    keys = [folder / f"validator{number}" / "key" for number in (1, 2, 3, 4)]
    assert len({key.read_text() for key in keys}) == 4
    for key in keys:
        assert stat.S_IMODE(key.stat().st_mode) == 0o600
        secret = key.read_bytes().strip()
        holders = [name for name, content in everything(folder).items() if secret in content]
        assert holders == [str(key.relative_to(folder))]


def test_running_again_changes_nothing(folder: Path) -> None:
    before = everything(folder)
    assert make_network.main(["local", str(folder), "--account", ACCOUNT]) == 0
    assert everything(folder) == before


def test_an_account_is_added_without_a_new_genesis(folder: Path) -> None:
    before = everything(folder)
    arguments = ["local", str(folder), "--account", ACCOUNT, "--account", OTHER]
    assert make_network.main(arguments) == 0
    after = everything(folder)
    assert {name for name in after if after[name] != before[name]} == {
        "network/permissions_config.toml"
    }
    permissions = tomllib.loads(after["network/permissions_config.toml"].decode())
    assert permissions["accounts-allowlist"] == [ACCOUNT, OTHER]


def test_an_interrupted_run_is_completed(folder: Path) -> None:
    before = everything(folder)
    for name in ("network/genesis.json", "network/static-nodes.json", "validator3/node.json"):
        (folder / name).unlink()
    assert make_network.main(["local", str(folder), "--account", ACCOUNT]) == 0
    assert everything(folder) == before


def test_a_lost_key_does_not_make_another_network(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    genesis = (folder / "network" / "genesis.json").read_bytes()
    (folder / "validator2" / "key").unlink()
    assert make_network.main(["local", str(folder), "--account", ACCOUNT]) == 2
    assert "other validators than the keys" in capsys.readouterr().err
    assert (folder / "network" / "genesis.json").read_bytes() == genesis


def test_the_chain_id_of_a_network_stays(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert make_network.main(["local", str(folder), "--chain-id", "8"]) == 2
    assert "another chain" in capsys.readouterr().err


def test_a_network_is_put_together_from_public_parts(tmp_path: Path) -> None:
    nodes = []
    for number in range(5):
        place = tmp_path / f"hospital{number}"
        arguments = ["key", str(place), "--address", f"10.1.0.{number}", "--port", "30304"]
        assert make_network.main(arguments) == 0
        nodes += ["--node", str(place / "node.json")]
    shared = tmp_path / "shared"
    assert make_network.main(["network", str(shared), *nodes, "--account", ACCOUNT]) == 0
    genesis = json.loads((shared / "genesis.json").read_text())
    assert len(make_network.check_genesis(genesis)) == 5
    # A node that joins later may connect; it becomes a validator by vote, not by the genesis.
    assert make_network.main(["key", str(tmp_path / "late"), "--address", "10.1.0.9"]) == 0
    nodes += ["--node", str(tmp_path / "late" / "node.json")]
    assert make_network.main(["network", str(shared), *nodes, "--account", ACCOUNT]) == 0
    assert json.loads((shared / "genesis.json").read_text()) == genesis
    assert len(json.loads((shared / "static-nodes.json").read_text())) == 6


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"address": "0x" + "00" * 20}, "not that of the key"),
        ({"enode": "enode://12@10.0.0.1:30303"}, "malformed enode"),
        ({"key": "00" * 32}, "nothing else"),
    ],
)
def test_a_forged_public_part_is_refused(
    tmp_path: Path, change: dict[str, str], message: str
) -> None:
    make_network.make_key(tmp_path / "node", "10.0.0.1")
    path = tmp_path / "node" / "node.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(NetworkError, match=message):
        make_network.load_node(path)


def test_no_key_is_made_inside_a_repository(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / ".git").mkdir()
    place = tmp_path / "deploy" / "net"
    assert make_network.main(["local", str(place)]) == 2
    assert "inside the repository" in capsys.readouterr().err
    assert not place.exists()
    with pytest.raises(NetworkError, match="inside the repository"):
        make_network.make_key(ROOT / "deploy" / "net", "10.0.0.1")


def test_a_key_that_others_can_read_is_refused(tmp_path: Path) -> None:
    make_network.make_key(tmp_path, "10.0.0.1")
    (tmp_path / "key").chmod(0o640)
    with pytest.raises(NetworkError, match="can be read by others"):
        make_network.make_key(tmp_path, "10.0.0.1")


@pytest.mark.parametrize("text", ["", "00" * 32, "ff" * 32, "12" * 31, "12" * 33, "XY" * 32])
def test_a_file_that_is_no_key_is_refused_and_not_repeated(tmp_path: Path, text: str) -> None:
    path = tmp_path / "key"
    path.write_text(text)
    path.chmod(0o600)
    with pytest.raises(NetworkError, match="not a key of 64") as raised:
        make_network.make_key(tmp_path, "10.0.0.1")
    assert not text or text not in str(raised.value)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["key", "--address", "validator1"], "no IPv4 address"),
        (["key", "--address", "10.0.0.1", "--port", "0"], "1 to 65535"),
        (["local", "--account", "0xAB"], "no address"),
    ],
)
def test_a_wrong_argument_is_refused(
    tmp_path: Path, arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert make_network.main([*arguments, str(tmp_path / "net")]) == 2
    assert message in capsys.readouterr().err


def test_the_script_runs_by_itself(tmp_path: Path) -> None:
    run = subprocess.run(  # noqa: S603 - our own script
        [sys.executable, str(SCRIPT), "key", str(tmp_path / "node"), "--address", "10.0.0.1"],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "HOME": str(tmp_path)},
    )
    assert json.loads(run.stdout) == json.loads((tmp_path / "node" / "node.json").read_text())
