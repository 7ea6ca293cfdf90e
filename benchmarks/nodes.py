"""Real Ethereum nodes on the loopback interface, for tests and measurements: anvil and Ganache."""

import itertools
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from eth_account import Account as EthereumAccount

NODE_MODULES = Path(__file__).parents[1] / "node_modules"
ANVIL = NODE_MODULES / "@foundry-rs" / "anvil-linux-amd64" / "bin" / "anvil"
GANACHE = NODE_MODULES / "ganache" / "dist" / "node" / "cli.js"

# The words that every development node knows; nothing of value is ever held by its accounts.
MNEMONIC = "test test test test test test test test test test test junk"
ACCOUNT_COUNT = 10
BALANCE_ETHER = 1_000_000

START_SECONDS = 60.0
STOP_SECONDS = 10.0
PORT_TRIES = 3

# Past any proxy that the environment names: it does not reach this machine's loopback interface.
_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class NodeStartError(RuntimeError):
    """A test node is not installed or does not start."""


class RpcError(RuntimeError):
    """The node answered a request of a test with an error."""

    def __init__(self, method: str, error: dict[str, Any]) -> None:
        super().__init__(f"{method}: {error.get('message')}")
        self.code = error.get("code")
        self.data = error.get("data")


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeAccount:
    """A rich account of every test node.

    `account` is the address as medseal writes it: 40 hexadecimal digits in lower case.
    """

    address: str
    account: str
    key: bytes


@cache
def node_accounts() -> tuple[NodeAccount, ...]:
    """Return the accounts of the fixed mnemonic, the same ones on every node."""
    EthereumAccount.enable_unaudited_hdwallet_features()
    found = [
        EthereumAccount.from_mnemonic(MNEMONIC, account_path=f"m/44'/60'/0'/0/{number}")
        for number in range(ACCOUNT_COUNT)
    ]
    return tuple(
        NodeAccount(
            address=one.address.lower(), account=one.address[2:].lower(), key=bytes(one.key)
        )
        for one in found
    )


class NodeProcess:
    """A node that runs as a child process.

    Parameters
    ----------
    command
        Program and arguments, without the port.
    folder
        Home folder and log of the node.
    port
        Port on 127.0.0.1, kept over restarts; a free one by default.
    state
        File or folder in which the node keeps its chain; none: the chain dies with the process.
    """

    def __init__(
        self, command: Sequence[str], *, folder: Path, port: int | None, state: Path | None
    ) -> None:
        self._command = tuple(command)
        self._folder = folder
        self._state = state
        self._ids = itertools.count(1)
        self.port = port or free_port()
        for attempt in range(PORT_TRIES):
            try:
                self._start()
                return
            except NodeStartError:
                # Somebody may have taken the free port in the meantime.
                if port is not None or attempt == PORT_TRIES - 1:
                    raise
                self.port = free_port()

    @property
    def url(self) -> str:
        """Address of the JSON-RPC interface."""
        return f"http://127.0.0.1:{self.port}"

    def _start(self) -> None:
        # Otherwise a node that listens there already would answer in place of this one.
        if not is_free(self.port):
            raise NodeStartError(f"port {self.port} is taken")
        log = self._folder / "node.log"
        with log.open("ab") as stream:
            self.process = subprocess.Popen(  # noqa: S603 - programs of node_modules
                [*self._command, "--port", str(self.port)],
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.STDOUT,
                env={**os.environ, "HOME": str(self._folder)},
            )
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise NodeStartError(f"{self._command[0]} ended: {log.read_text()[-2000:]}")
            with suppress(OSError, RpcError):
                self.rpc("eth_chainId", timeout_seconds=5.0)
                return
            time.sleep(0.02)
        self.kill()
        raise NodeStartError(f"{self._command[0]} does not answer: {log.read_text()[-2000:]}")

    def rpc(self, method: str, *params: Any, timeout_seconds: float = 30.0) -> Any:
        """Send one request of a test, for example `anvil_reorg`, and return its result."""
        body = {"jsonrpc": "2.0", "id": next(self._ids), "method": method, "params": params}
        request = urllib.request.Request(  # noqa: S310 - the loopback interface
            self.url, json.dumps(body).encode(), {"Content-Type": "application/json"}
        )
        with _DIRECT.open(request, timeout=timeout_seconds) as response:
            answer = json.load(response)
        if "error" in answer:
            raise RpcError(method, answer["error"])
        return answer["result"]

    def kill(self) -> None:
        """End the node as kill -9 does: nothing is written out."""
        self.process.kill()
        self.process.wait()

    def stop(self) -> None:
        """End the node and let it write its state."""
        if self.process.poll() is not None:
            return
        self.resume()
        self.process.terminate()
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()

    def pause(self) -> None:
        """Freeze the node: it accepts connections and answers nothing."""
        self.process.send_signal(signal.SIGSTOP)
        # The signal takes a moment; until all threads stand the node may still answer.
        os.waitid(os.P_PID, self.process.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)

    def resume(self) -> None:
        """Let a frozen node go on."""
        self.process.send_signal(signal.SIGCONT)

    def restart(self, *, empty: bool = False) -> None:
        """End the node, if it still runs, and start it at the same address.

        With `empty` its kept chain is deleted; a node without `state` is always empty afterwards.
        """
        self.stop()
        if empty and self._state is not None:
            if self._state.is_dir():
                shutil.rmtree(self._state)
            else:
                self._state.unlink(missing_ok=True)
        self._start()


def free_port() -> int:
    """Return a port of the loopback interface that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def is_free(port: int) -> bool:
    """Return whether nobody listens on a port of the loopback interface."""
    with socket.socket() as probe:
        # Closed connections of a node that has just ended are no obstacle.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


@contextmanager
def _running(
    command: Sequence[str], *, needed: Path, port: int | None, state: Path | None
) -> Iterator[NodeProcess]:
    if not needed.is_file():
        raise NodeStartError(f"{needed} is missing: the test nodes are not installed; make test")
    with tempfile.TemporaryDirectory(prefix="medseal-node-") as folder:
        node = NodeProcess(command, folder=Path(folder), port=port, state=state)
        try:
            yield node
        finally:
            node.stop()


@contextmanager
def start_anvil(
    *,
    hardfork: str = "prague",
    block_time: float | None = None,
    port: int | None = None,
    state: Path | None = None,
    chain_id: int = 31337,
    extra: Sequence[str] = (),
) -> Iterator[NodeProcess]:
    """Run anvil.

    Parameters
    ----------
    hardfork
        "prague" or "shanghai".
    block_time
        Seconds between blocks, for example 0.5; None: a block for each transaction, at once.
    port
        Port on 127.0.0.1; a free one by default.
    state
        File that keeps the chain over a clean end (`stop`, `restart`), not over `kill`.
    chain_id
        Identifier of the chain.
    extra
        More arguments, for example `["--steps-tracing"]`.
    """
    command = [str(ANVIL), "--quiet", "--hardfork", hardfork, "--chain-id", str(chain_id)]
    command += ["--accounts", str(ACCOUNT_COUNT), "--balance", str(BALANCE_ETHER)]
    command += ["--mnemonic", MNEMONIC]
    if block_time is not None:
        command += ["--block-time", str(block_time)]
    if state is not None:
        command += ["--state", str(state)]
    with _running([*command, *extra], needed=ANVIL, port=port, state=state) as node:
        yield node


@contextmanager
def start_ganache(
    *,
    block_time: float | None = None,
    port: int | None = None,
    state: Path | None = None,
    chain_id: int = 31337,
    extra: Sequence[str] = (),
) -> Iterator[NodeProcess]:
    """Run Ganache with Shanghai rules; parameters as for `start_anvil`.

    `state` is a folder here; it keeps the chain over a `kill` too.
    """
    node_program = shutil.which("node")
    if node_program is None:
        raise NodeStartError("Node.js is not installed; Ganache needs it")
    command = [node_program, str(GANACHE), "--chain.hardfork", "shanghai", "--logging.quiet"]
    command += ["--chain.chainId", str(chain_id), "--wallet.totalAccounts", str(ACCOUNT_COUNT)]
    command += ["--wallet.mnemonic", MNEMONIC, "--wallet.defaultBalance", str(BALANCE_ETHER)]
    if block_time is not None:
        command += ["--miner.blockTime", str(block_time)]
    if state is not None:
        command += ["--database.dbPath", str(state)]
    with _running([*command, *extra], needed=GANACHE, port=port, state=state) as node:
        yield node
