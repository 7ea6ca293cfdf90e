"""One Ethereum node over JSON-RPC: web3's provider on a bounded transport, answers parsed strictly.

Every request here may be repeated: a signed transaction is named by its bytes, all others read.
Blocks are parsed from the JSON itself, so the long extra data of proof-of-authority chains are
no obstacle.
"""

import secrets
import time
from collections.abc import Callable, Sequence
from typing import Any, Self, cast

from eth_utils.crypto import keccak

from medseal.errors import InputError, NodeError, NonceTooLowError, UnreachableError
from medseal.ledger.ethereum.answers import (
    Block,
    Fees,
    Log,
    Transaction,
    TxReceipt,
    error_of,
    is_known_already,
    is_range_refusal,
    parse_block,
    parse_data,
    parse_log,
    parse_quantity,
    parse_receipt,
    parse_transaction,
)
from medseal.ledger.ethereum.stack import is_shallow, recursion_limit_kept
from medseal.ledger.ethereum.transport import Transport

with recursion_limit_kept():
    from web3.providers.rpc import HTTPProvider
    from web3.types import RPCEndpoint, RPCResponse

__all__ = ["MAX_BATCH_REQUESTS", "MAX_LOGS", "Node", "Request", "call_request"]

# Besu refuses more than 1,024 in one batch; far fewer keep an answer small.
MAX_BATCH_REQUESTS = 100
MAX_LOGS = 100_000
_FIRST_PAUSE_SECONDS = 0.1
_MAX_PAUSE_SECONDS = 2.0
# Codes of a method that a node does not have: the standard's, Besu's, Ganache's.
_NO_METHOD = (-32601, -32604, -32700)

Request = tuple[str, Sequence[Any]]
Uniform = Callable[[float, float], float]


class _Provider(HTTPProvider):
    """Web3's provider, on a transport that bounds each answer."""

    def __init__(self, transport: Transport, timeout_seconds: float) -> None:
        # The shown address only: web3 writes it into its log.
        super().__init__(transport.shown, exception_retry_configuration=None)
        self._transport = transport
        self._timeout_seconds = timeout_seconds

    def _make_request(self, _method: RPCEndpoint, request_data: bytes) -> bytes:
        return self._transport.post(request_data, timeout_seconds=self._timeout_seconds)

    @staticmethod
    def decode_rpc_response(raw_response: bytes) -> RPCResponse:
        """Return the JSON of an answer; `ValueError` for what is none or nests too deep."""
        if not is_shallow(raw_response):
            raise ValueError("nested too deep")
        return HTTPProvider.decode_rpc_response(raw_response)

    def make_batch_request(
        self, batch_requests: list[tuple[RPCEndpoint, Any]]
    ) -> list[RPCResponse] | RPCResponse:
        """Send several requests in one exchange and return the answers as they came."""
        body = self.encode_batch_rpc_request(batch_requests)
        answer = self._transport.post(body, timeout_seconds=self._timeout_seconds)
        return cast("list[RPCResponse] | RPCResponse", self.decode_rpc_response(answer))


class Node:
    """A node; several threads may use it at once.

    Parameters
    ----------
    url
        ``http://`` or ``https://`` address, MAY hold a user and password; neither they nor the
        path are ever shown.
    timeout_seconds
        Limit of one exchange, from the first connection to the last byte.
    attempts
        How often an exchange is tried that fails on the way; what a node answers is never asked
        again. Full jitter lies between the tries.
    uniform
        Gives a random number between two limits, for the jitter; of the operating system unless
        given.

    Raises
    ------
    InputError
        The address or a limit is not usable.
    """

    def __init__(
        self,
        url: str,
        *,
        timeout_seconds: float = 5.0,
        attempts: int = 3,
        uniform: Uniform | None = None,
    ) -> None:
        self._setup(Transport(url), timeout_seconds, attempts, uniform)

    def _setup(
        self, transport: Transport, timeout_seconds: float, attempts: int, uniform: Uniform | None
    ) -> None:
        if not timeout_seconds > 0 or attempts < 1:
            raise InputError("a node is given a time limit above 0 and at least one attempt")
        self._transport = transport
        self._timeout_seconds = timeout_seconds
        self._attempts = attempts
        self._uniform = secrets.SystemRandom().uniform if uniform is None else uniform
        self.provider = _Provider(transport, timeout_seconds)

    def __repr__(self) -> str:
        return f"Node({self.url})"

    @property
    def url(self) -> str:
        """Scheme, host and port; what else the address holds is not shown."""
        return self._transport.shown

    @property
    def losses(self) -> int:
        """How often a connection was lost so far: the next may lead to another node."""
        return self._transport.losses

    def with_limits(self, *, timeout_seconds: float, attempts: int) -> Self:
        """Return the same node, on the same connections, with other limits."""
        node = type(self).__new__(type(self))
        node._setup(self._transport, timeout_seconds, attempts, self._uniform)
        return node

    def close(self) -> None:
        """Close idle connections; the next request opens a new one."""
        self._transport.close()

    # --- Requests -----------------------------------------------------------------------------

    def request(self, method: str, *params: Any) -> Any:
        """Return the result of one request.

        Raises
        ------
        UnreachableError
            No answer after all attempts.
        NodeError
            The node answered with an error, or with something malformed; its subclasses tell
            the errors apart that have a remedy.
        """
        return self._result(
            method, self._exchange(lambda: self.provider.make_request(RPCEndpoint(method), params))
        )

    def batch(self, requests: Sequence[Request]) -> list[Any]:
        """Return the results of several requests that travel together, in their order.

        An error stands as a `NodeError` in its place; raises as `request` does when the exchange
        fails as a whole.
        """
        results: list[Any] = []
        for start in range(0, len(requests), MAX_BATCH_REQUESTS):
            results += self._batch(requests[start : start + MAX_BATCH_REQUESTS])
        return results

    def _batch(self, requests: Sequence[Request]) -> list[Any]:
        sent = [(RPCEndpoint(method), list(params)) for method, params in requests]
        answers = self._exchange(lambda: self.provider.make_batch_request(sent))
        if isinstance(answers, dict):
            # Some errors, such as a batch that is not allowed, have one answer for all.
            raise error_of(self.url, "a batch", answers.get("error"))
        if not isinstance(answers, list) or len(answers) != len(requests):
            raise NodeError(f"{self.url} left a batch of requests incomplete")
        try:
            # The order of answers is free; the numbers that web3 gives out ascend.
            answers = sorted(answers, key=lambda answer: int(answer["id"]))
        except (KeyError, TypeError, ValueError):
            raise NodeError(f"{self.url} answered a batch without its numbers") from None
        results = []
        for (method, _), answer in zip(requests, answers, strict=True):
            try:
                results.append(self._result(method, answer))
            except NodeError as error:
                results.append(error)
        return results

    def _exchange(self, send: Callable[[], Any]) -> Any:
        """Return what `send` returns; try again after a failure on the way."""
        for attempt in range(1, self._attempts + 1):
            try:
                return send()
            except UnreachableError as error:
                if attempt == self._attempts or isinstance(error, NodeError):
                    raise
                # Full jitter: https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
                pause = min(_MAX_PAUSE_SECONDS, _FIRST_PAUSE_SECONDS * 2**attempt)
                time.sleep(self._uniform(0, pause))
            except (ValueError, RecursionError):
                raise NodeError(f"{self.url} answered with something that is no JSON") from None
        raise AssertionError

    def _result(self, method: str, answer: Any) -> Any:
        if not isinstance(answer, dict):
            raise NodeError(f"{self.url} answered {method} with something that is no JSON-RPC")
        if answer.get("error") is not None:
            raise error_of(self.url, method, answer["error"])
        if "result" not in answer:
            raise NodeError(f"{self.url} answered {method} without a result")
        return answer["result"]

    # --- The chain ----------------------------------------------------------------------------

    def chain_id(self) -> int:
        """Return the identifier of the chain."""
        return parse_quantity(self.request("eth_chainId"))

    def block_number(self) -> int:
        """Return the number of the newest block."""
        return parse_quantity(self.request("eth_blockNumber"))

    def block(self, number: int | str = "latest") -> Block | None:
        """Return a block by its number or a tag such as ``latest``; None where there is none."""
        return parse_block(self.request("eth_getBlockByNumber", block_tag(number), False))

    def code(self, address: str) -> bytes:
        """Return the code at an address; empty where no contract stands."""
        return parse_data(self.request("eth_getCode", address, "latest"))

    def nonce(self, address: str, block: int | str = "pending") -> int:
        """Return the number of the next transaction of an address."""
        return parse_quantity(self.request("eth_getTransactionCount", address, block_tag(block)))

    def balance(self, address: str) -> int:
        """Return what an address holds, in wei."""
        return parse_quantity(self.request("eth_getBalance", address, "latest"))

    def fees(self, payer: str) -> Fees:
        """Return what the node says about fees at present.

        Parameters
        ----------
        payer
            Who will pay. Where it holds nothing and the base fee is 0, no fee is proposed: a
            network without fees whose node names a price all the same.
        """
        questions: list[tuple[str, tuple[Any, ...]]] = [
            ("eth_getBlockByNumber", ("latest", False)),
            ("eth_getBalance", (payer, "latest")),
        ]
        questions += [("eth_gasPrice", ()), ("eth_maxPriorityFeePerGas", ())]
        head, balance, price, priority = self.batch(questions)
        if isinstance(priority, NodeError) and priority.code in _NO_METHOD:
            priority = "0x0"
        for result in (head, price, priority, balance):
            if isinstance(result, NodeError):
                raise result
        block = parse_block(head)
        base_fee = None if block is None else block.base_fee_wei
        is_free = base_fee == parse_quantity(balance) == 0
        return Fees(
            base_fee_wei=base_fee,
            gas_price_wei=0 if is_free else parse_quantity(price),
            priority_fee_wei=0 if is_free else parse_quantity(priority),
        )

    # --- Calls --------------------------------------------------------------------------------

    def call(
        self, to: str, data: bytes, sender: str | None = None, block: int | str = "latest"
    ) -> bytes:
        """Return what a call of a contract returns, without a transaction.

        Raises
        ------
        RevertedError
            The contract refused the call.
        """
        method, params = call_request(to, data, sender=sender, block=block)
        return parse_data(self.request(method, *params))

    def estimate(self, transaction: dict[str, Any]) -> int:
        """Return the gas that a transaction in JSON-RPC form would take; raises as `call`."""
        return parse_quantity(self.request("eth_estimateGas", transaction))

    # --- Transactions -------------------------------------------------------------------------

    def send(self, raw: bytes) -> str:
        """Hand a signed transaction over and return its hash; the same bytes may be sent again.

        Raises
        ------
        NonceTooLowError
            Another transaction of the sender took its number; this one is not known.
        UnderpricedError, InsufficientFundsError, GasLimitError, NodeError
            The node does not take it.
        UnreachableError
            Nobody knows whether it arrived: send the same bytes again.
        """
        name = "0x" + keccak(raw).hex()
        try:
            answer = self.request("eth_sendRawTransaction", "0x" + raw.hex())
        except NonceTooLowError:
            # Our own transaction may have been mined since an attempt that seemed to fail.
            if self.transaction(name) is None:
                raise
            return name
        except NodeError as error:
            if not is_known_already(error):
                raise
            return name
        if answer != name:
            raise NodeError(f"{self.url} names the transaction by another hash than its own")
        return name

    def receipt(self, transaction: str) -> TxReceipt | None:
        """Return the receipt of a transaction that is in a block; None for any other."""
        return parse_receipt(self.request("eth_getTransactionReceipt", transaction))

    def transaction(self, transaction: str) -> Transaction | None:
        """Return a transaction that is in a block or waits for one; None for an unknown one."""
        return parse_transaction(self.request("eth_getTransactionByHash", transaction))

    def logs(
        self,
        address: str,
        topics: Sequence[bytes | None],
        from_block: int = 0,
        to_block: int | None = None,
    ) -> list[Log]:
        """Return the logs of a contract in a range of blocks, the newest block included.

        Parameters
        ----------
        address
            The contract.
        topics
            Words that a log must have in its topics; None matches any.
        from_block, to_block
            First and last block; the last is the newest unless given.

        Raises
        ------
        NodeError
            More than `MAX_LOGS`, or the node refuses even a single block.
        """
        wanted = [None if topic is None else "0x" + topic.hex() for topic in topics]
        last = self.block_number() if to_block is None else to_block
        found: list[Log] = []
        ranges = [(from_block, last)]
        while ranges:
            first, last = ranges.pop()
            if first > last:
                continue
            try:
                found += self._logs(address, wanted, first, last)
            except (NodeError, UnreachableError) as error:
                if first == last or not is_range_refusal(error):
                    raise
                middle = (first + last) // 2
                ranges += [(middle + 1, last), (first, middle)]
            if len(found) > MAX_LOGS:
                raise NodeError(f"{self.url} has more than {MAX_LOGS} logs of this kind")
        return found

    def _logs(self, address: str, topics: list[str | None], first: int, last: int) -> list[Log]:
        query = {
            "address": address,
            "topics": topics,
            "fromBlock": hex(first),
            "toBlock": hex(last),
        }
        answer = self.request("eth_getLogs", query)
        if not isinstance(answer, list):
            raise NodeError(f"{self.url} answered eth_getLogs without a list")
        return [log for log in map(parse_log, answer) if not log.is_removed]


def block_tag(block: int | str) -> str:
    """Return a block number, or a tag such as ``latest``, as JSON-RPC writes it."""
    return block if isinstance(block, str) else hex(block)


def call_request(
    to: str, data: bytes, *, sender: str | None = None, block: int | str = "latest"
) -> Request:
    """Return the request of a call of a contract, for `Node.request` or `Node.batch`."""
    transaction = {"to": to, "data": "0x" + data.hex()}
    if sender is not None:
        transaction["from"] = sender
    return "eth_call", (transaction, block_tag(block))
