"""The contract on a network: checked before it is trusted, asked with single raw calls."""

from typing import Any, Self

from medseal.errors import (
    ChainMismatchError,
    InputError,
    NodeError,
    RevertedError,
)
from medseal.ledger.ethereum.anchors import Anchored, ChainAnchor
from medseal.ledger.ethereum.answers import (
    Log,
    TxReceipt,
    parse_data,
    parse_quantity,
)
from medseal.ledger.ethereum.artifact import artifact
from medseal.ledger.ethereum.codec import (
    WORD_BYTES,
    account_word,
    action_number,
    address_of_word,
    address_to_account,
    checked_address,
    commitment_word,
    pack_purpose,
    role_id,
    unpack_terms,
    word,
)
from medseal.ledger.ethereum.deployment import deploy_contract, redeploy_contract
from medseal.ledger.ethereum.reverts import refusal_of
from medseal.ledger.ethereum.rpc import Node, Request, call_request
from medseal.ledger.ethereum.signer import TransactionSigner
from medseal.ledger.grants import Action, Decision, Grant, Role

__all__ = ["Contract"]

# First four bytes of keccak256 of the signature.
_DECIDE = bytes.fromhex("05d01663")
_ANCHOR_OF = bytes.fromhex("cf4ff901")
_GRANT_OF = bytes.fromhex("a5348ac1")
_WINDOW_OF = bytes.fromhex("77364032")
_HAS_ROLE = bytes.fromhex("91d14854")
_OWNER = bytes.fromhex("8da5cb5b")
# keccak256 of the signature.
_ANCHORED = bytes.fromhex("05d81b8d9808f1fa1f651e2e7dc51bf6900cfd074532e3a0eccacf57055b668d")
_GRANTED = bytes.fromhex("5c09669e714dab333163505328d0d7eaa2aa6ba5a2b5bca1cd829ba84c4d1313")

# In the order of `Reason` in AccessPolicy.sol.
_REASONS = (
    "owner",
    "granted",
    "break-glass",
    "erased",
    "paused",
    "no-grant",
    "expired",
    "purpose",
    "unbounded",
    "withdrawn",
)
_ALLOWING = 3
_MAX_AT_MS = 2**64 - 1
_ANCHORED_TOPICS = 3
_GRANTED_TOPICS = 3
_EXPIRY_SHIFT = 192
_ACTION_SHIFT = 240


class Contract:
    """The contract at an address, as one node shows it.

    Parameters
    ----------
    node
        Node to ask.
    address
        ``0x`` and 40 hexadecimal digits.
    chain_id
        Chain that is expected; that of the node at the first check unless given.

    Attributes
    ----------
    node, address, chain_id
        As given; the chain id is None before the first check.

    Raises
    ------
    InputError
        The address has another form.
    """

    def __init__(self, node: Node, address: str, *, chain_id: int | None = None) -> None:
        self.node = node
        self.address = checked_address(address.lower())
        self.chain_id = chain_id

    def __repr__(self) -> str:
        return f"Contract({self.address} at {self.node.url})"

    # --- Trust --------------------------------------------------------------------------------

    def check(self) -> None:
        """Return if the node serves the expected chain and this very contract stands there.

        Raises
        ------
        ChainMismatchError
            Another chain, no contract, or one with other code than this version speaks to.
        UnreachableError
            The node does not answer.
        """
        chain, code = self.node.batch(
            (("eth_chainId", ()), ("eth_getCode", (self.address, "latest")))
        )
        self.check_chain(chain)
        if isinstance(code, NodeError):
            raise code
        stored = parse_data(code)
        if not stored:
            raise ChainMismatchError(
                f"no contract stands at {self.address} on chain {self.chain_id}:"
                " the network was set up anew, or the address is wrong"
            )
        if stored != artifact().code:
            raise ChainMismatchError(
                f"the contract at {self.address} has other code than the one of this version:"
                " check the address, or install the version that deployed it"
            )

    def check_chain(self, answer: Any) -> None:
        """Return if the answer to ``eth_chainId`` names the expected chain; raises as `check`."""
        if isinstance(answer, NodeError):
            raise answer
        found = parse_quantity(answer)
        if self.chain_id is None:
            self.chain_id = found
        if found != self.chain_id:
            raise ChainMismatchError(
                f"{self.node.url} serves chain {found}, this ledger is on chain {self.chain_id}:"
                " check the address of the node"
            )

    @classmethod
    def deploy(
        cls, node: Node, signer: TransactionSigner, *, timeout_seconds: float = 120.0
    ) -> Self:
        """Put the contract on the chain, with the signer as its owner, and wait for its block.

        Raises
        ------
        UnreachableError
            The node does not answer, or no block came in time.
        NodeError
            The node does not take the transaction, or it has failed.
        ChainMismatchError
            The node shows another contract than the one that was sent.
        """
        address, chain_id = deploy_contract(node, signer, timeout_seconds=timeout_seconds)
        contract = cls(node, address, chain_id=chain_id)
        contract.check()
        return contract

    def redeploy(self, signer: TransactionSigner, *, timeout_seconds: float = 120.0) -> None:
        """Put the contract back to its address on an empty chain; see `redeploy_contract`."""
        self.check_chain(hex(self.node.chain_id()))
        redeploy_contract(self.node, signer, self.address, timeout_seconds=timeout_seconds)
        self.check()

    # --- Access -------------------------------------------------------------------------------

    def decide(
        self, account: str, subject: str, action: Action, *, purpose: str = "", at_ms: int
    ) -> Decision:
        """Return whether an account may act on an image, by one call of the contract.

        Raises
        ------
        InputError
            An argument has another form.
        ChainMismatchError
            Whatever stands at the address does not answer as the contract does.
        UnreachableError
            The node does not answer.
        """
        asked = self.decide_request(account, subject, action, purpose=purpose, at_ms=at_ms)
        return self.parse_decision(self._answer(asked))

    def decide_request(
        self, account: str, subject: str, action: Action, *, purpose: str, at_ms: int
    ) -> Request:
        """Return the request of a decision, for `Node.batch`."""
        if type(at_ms) is not int or not 0 <= at_ms <= _MAX_AT_MS:
            raise InputError("a time counts milliseconds since 1970")
        data = (
            _DECIDE
            + account_word(account)
            + commitment_word(subject)
            + word(action_number(action))
            + word(pack_purpose(purpose))
            + word(at_ms)
        )
        return call_request(self.address, data)

    def end_requests(self, account: str, subject: str, action: Action) -> tuple[Request, Request]:
        """Return the requests of the grant and of the break-glass window of an account."""
        image, who = commitment_word(subject), account_word(account)
        grant = _GRANT_OF + image + who + word(action_number(action))
        window = _WINDOW_OF + image + who
        return call_request(self.address, grant), call_request(self.address, window)

    def _answer(self, request: Request) -> bytes:
        """Return what a call returns; a refusal there means that another contract answers."""
        try:
            method, params = request
            return parse_data(self.node.request(method, *params))
        except RevertedError:
            raise self.mismatch() from None

    def mismatch(self) -> ChainMismatchError:
        """Return the error for an answer that this contract does not give."""
        return ChainMismatchError(
            f"what stands at {self.address} on chain {self.chain_id} does not answer as the"
            " contract does: check the address and the node"
        )

    def parse_decision(self, data: bytes) -> Decision:
        """Return the decision that a call has returned."""
        (number,) = self.parse_words(data, 1)
        if number >= len(_REASONS):
            raise self.mismatch()
        return Decision(allowed=number < _ALLOWING, reason=_REASONS[number])

    def parse_words(self, data: bytes, count: int) -> tuple[int, ...]:
        """Return the numbers that a call has returned; an empty answer comes from no contract."""
        if len(data) != count * WORD_BYTES:
            raise self.mismatch()
        return tuple(
            int.from_bytes(data[start : start + WORD_BYTES], "big")
            for start in range(0, len(data), WORD_BYTES)
        )

    def owner(self) -> str:
        """Return the account of the owner."""
        return self._account(self._answer(call_request(self.address, _OWNER)))

    def _account(self, data: bytes) -> str:
        try:
            return address_to_account(address_of_word(data))
        except InputError:
            raise self.mismatch() from None

    def roles(self, account: str) -> tuple[Role, ...]:
        """Return the roles that an account holds now, in the order of `Role`."""
        who = account_word(account)
        asked = [_HAS_ROLE + role_id(role) + who for role in Role]
        answers = self._answers([call_request(self.address, data) for data in asked])
        held = [self.parse_words(answer, 1) == (1,) for answer in answers]
        return tuple(role for role, is_held in zip(Role, held, strict=True) if is_held)

    def _answers(self, requests: list[Request]) -> list[bytes]:
        answers = self.node.batch(requests)
        for answer in answers:
            if isinstance(answer, RevertedError):
                raise self.mismatch()
            if isinstance(answer, NodeError):
                raise answer
        return [parse_data(answer) for answer in answers]

    def grants(
        self, *, account: str | None = None, subject: str | None = None, from_block: int = 0
    ) -> list[Grant]:
        """Return the grants that stand now, of one account or image or of all.

        A grant for a purpose that no use can state is left out: it allows nothing.

        Parameters
        ----------
        account, subject
            Whose, for which image; None for all.
        from_block
            First block to look at, for example that of the deployment.
        """
        image = None if subject is None else commitment_word(subject)
        who = None if account is None else account_word(account)
        given: dict[tuple[bytes, bytes, int], None] = {}
        for log in self.node.logs(self.address, (_GRANTED, image, who), from_block):
            number = int.from_bytes(log.data, "big") >> _ACTION_SHIFT
            if len(log.topics) == _GRANTED_TOPICS and number < len(Action):
                given[(log.topics[1], log.topics[2], number)] = None
        asked = [_GRANT_OF + image + who + word(number) for image, who, number in given]
        answers = self._answers([call_request(self.address, data) for data in asked])
        found = []
        for (image, who, number), answer in zip(given, answers, strict=True):
            exists, expires_ms, purpose = self.parse_words(answer, 3)
            terms = number << _ACTION_SHIFT | expires_ms << _EXPIRY_SHIFT | purpose
            if exists:
                found += self._grant(terms, who, image)
        return sorted(found, key=lambda one: (one.account, one.subject, one.action))

    def _grant(self, terms: int, who: bytes, image: bytes) -> list[Grant]:
        try:
            account = address_to_account(address_of_word(who))
            return [unpack_terms(terms, account, f"sha256:{image.hex()}")]
        except InputError:
            return []

    def simulate(self, sender_address: str, data: bytes) -> None:
        """Return if the contract would carry out a call of this sender now; nothing is sent.

        Raises
        ------
        AccessRefusedError
            It would refuse, for the reason that is given.
        AlreadyAnchoredError
            The root of an anchor stands there already.
        InputError
            The call is malformed.
        UnreachableError
            The node does not answer.
        """
        try:
            self.node.call(self.address, data, sender=sender_address)
        except RevertedError as error:
            raise refusal_of(error) from None

    # --- Anchors ------------------------------------------------------------------------------

    def anchor_of(self, root: bytes) -> ChainAnchor | None:
        """Return what the contract holds about a root of 32 bytes; None for nothing."""
        answer = self._answer(call_request(self.address, _ANCHOR_OF + root))
        size, sequence, timestamp = self.parse_words(answer, 3)
        if not size:
            return None
        return ChainAnchor(size=size, sequence=sequence, timestamp=timestamp)

    def anchored(self, receipt: TxReceipt) -> list[Anchored]:
        """Return the anchors that a transaction has written with this contract."""
        return [
            self._anchored(log)
            for log in receipt.logs
            if log.address == self.address and log.topics[:1] == (_ANCHORED,)
        ]

    def anchor_log(self, root: bytes) -> Log | None:
        """Return the log of the anchor of a root: its transaction and block; None for none."""
        found = self.node.logs(self.address, (_ANCHORED, root))
        return found[0] if found else None

    def anchored_by(self, account: str, from_block: int, to_block: int) -> list[Anchored]:
        """Return what a gateway has anchored in a range of blocks.

        Raises
        ------
        UnreachableError, NodeError
            The node does not answer, or has too many in this range.
        """
        topics = (_ANCHORED, None, account_word(account))
        logs = self.node.logs(self.address, topics, from_block, to_block)
        return [self._anchored(log) for log in logs]

    def _anchored(self, log: Log) -> Anchored:
        size, sequence, head = self.parse_words(log.data, 3)
        if len(log.topics) != _ANCHORED_TOPICS:
            raise self.mismatch()
        account = self._account(log.topics[2])
        return Anchored(log.topics[1], size, sequence, word(head), account)
