"""The nodes of the tests are those of the measurements."""

from benchmarks.nodes import (
    MNEMONIC,
    NodeAccount,
    NodeProcess,
    NodeStartError,
    RpcError,
    free_port,
    is_free,
    node_accounts,
    start_anvil,
    start_ganache,
)

__all__ = [
    "MNEMONIC",
    "NodeAccount",
    "NodeProcess",
    "NodeStartError",
    "RpcError",
    "free_port",
    "is_free",
    "node_accounts",
    "start_anvil",
    "start_ganache",
]
