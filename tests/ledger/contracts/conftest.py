"""The contract, freshly deployed for each test, on each of the supported nodes."""

from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass

import pytest

from benchmarks.contract_coverage import PLUGIN
from tests.ledger.contracts.harness import Build, Chain, Deployed, role
from tests.ledger.ethereum.nodes import NodeProcess, node_accounts, start_anvil, start_ganache

NODES = ("anvil-prague", "anvil-shanghai", "ganache")


@dataclass(frozen=True, slots=True, kw_only=True)
class Parties:
    """Addresses by what their accounts are; `person` is a pseudonym, which nobody has a key of."""

    owner: str
    registrar: str
    radiologist: str
    researcher: str
    consent_service: str
    auditor: str
    emergency: str
    stranger: str
    heir: str
    person: str = "0x00000000" + "5eed" * 8


def _started(name: str, *, is_traced: bool) -> AbstractContextManager[NodeProcess]:
    if name == "ganache":
        # Time that the tests alone move on: a second a block.
        return start_ganache(extra=["--miner.timestampIncrement", "1"])
    extra = ["--steps-tracing"] if is_traced else []
    return start_anvil(hardfork=name.partition("-")[2], extra=extra)


@pytest.fixture(scope="session", params=NODES)
def chain(request: pytest.FixtureRequest) -> Iterator[Chain]:
    """A node with the build under test."""
    # Set while the coverage is measured: another build, and who wants to see what is run.
    coverage = request.config.pluginmanager.get_plugin(PLUGIN)
    with _started(request.param, is_traced=coverage is not None) as node:
        yield Chain(
            node=node,
            build=Build.committed() if coverage is None else Build.of(coverage.artifact),
            accounts=[one.address for one in node_accounts()],
            watcher=coverage,
        )


@pytest.fixture(scope="session")
def parties() -> Parties:
    """Who takes part; the roles are given by `staffed`."""
    addresses = [one.address for one in node_accounts()]
    return Parties(
        **dict(
            zip([name for name in Parties.__slots__ if name != "person"], addresses, strict=False)
        )
    )


@pytest.fixture
def contract(chain: Chain, parties: Parties) -> Deployed:
    """A new contract: there is an owner, and nobody else."""
    return chain.deploy(parties.owner)


@pytest.fixture
def staffed(contract: Deployed, parties: Parties) -> Deployed:
    """A new contract in which everybody but the stranger and the heir holds a role."""
    for name in ("registrar", "radiologist", "researcher", "auditor", "emergency"):
        contract.send("grantRole", role(name), getattr(parties, name))
    contract.send("grantRole", role("consent-service"), parties.consent_service)
    return contract


@pytest.fixture
def subject(chain: Chain) -> bytes:
    """Commitment of an image."""
    return chain.new_subject()
