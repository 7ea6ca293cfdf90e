"""The contract: checked before it is trusted, asked with raw calls, its answers parsed strictly."""

import time
from typing import Any

import pytest
from eth_abi.abi import encode
from eth_utils.crypto import keccak
from web3 import Web3

from medseal.errors import (
    AccessRefusedError,
    AlreadyAnchoredError,
    ChainMismatchError,
    InputError,
    NodeError,
    RevertedError,
    UnreachableError,
)
from medseal.ledger import (
    Action,
    Decision,
    Grant,
    Role,
    RoleChange,
    break_glass_event,
    consent_event,
    erase_event,
    grant_event,
    now_ms,
    pause_event,
    revoke_event,
    role_event,
)
from medseal.ledger.ethereum.anchors import Anchored, ChainAnchor
from medseal.ledger.ethereum.artifact import artifact
from medseal.ledger.ethereum.codec import (
    account_word,
    anchor_call,
    calls_of,
    commitment_word,
    pack_terms,
    word,
)
from medseal.ledger.ethereum.contract import Contract
from medseal.ledger.ethereum.rpc import Node
from tests.ledger.ethereum.chain import IMAGE, PERSON, carry_out, deployed, signer
from tests.ledger.ethereum.liar import changed, error, liar_url, result, start_liar
from tests.ledger.ethereum.nodes import NodeProcess, free_port, start_anvil

OWNER = signer(0).account
OTHER_IMAGE = "sha256:" + "6b" * 32
DIGEST = "sha256:" + "77" * 32
NOW = now_ms()
HOUR_MS = 3_600_000


@pytest.fixture(scope="module", params=["anvil", "anvil_shanghai", "ganache"])
def contract(request: pytest.FixtureRequest) -> Contract:
    return deployed(request.getfixturevalue(request.param))


@pytest.fixture
def fresh(anvil: NodeProcess) -> Contract:
    return deployed(anvil)


def granted(contract: Contract, **fields: Any) -> Grant:
    """Give a grant by the contract and return it."""
    plain = {"account": PERSON, "subject": IMAGE, "action": Action.VIEW}
    given = Grant(**{**plain, **fields})
    carry_out(contract, calls_of(grant_event(given, actor=OWNER)))
    return given


def reason(contract: Contract, account: str = PERSON, **fields: Any) -> str:
    asked = {"purpose": "", "at_ms": NOW, **fields}
    subject, action = asked.pop("subject", IMAGE), asked.pop("action", Action.VIEW)
    decision = contract.decide(account, subject, action, **asked)
    allowing = ("owner", "granted", "break-glass")
    assert decision == Decision(allowed=decision.reason in allowing, reason=decision.reason)
    return decision.reason


# --- Trust ------------------------------------------------------------------------------------


def test_the_contract_is_recognised(contract: Contract) -> None:
    again = Contract(contract.node, contract.address.upper().replace("0X", "0x"))
    assert again.chain_id is None
    again.check()
    assert again.chain_id == 31337
    assert again.address == contract.address
    assert repr(again) == f"Contract({contract.address} at {contract.node.url})"


def test_another_chain_is_refused(fresh: Contract) -> None:
    with pytest.raises(ChainMismatchError, match="serves chain 31337, this ledger is on chain 7"):
        Contract(fresh.node, fresh.address, chain_id=7).check()


def test_a_missing_contract_is_refused(fresh: Contract) -> None:
    with pytest.raises(ChainMismatchError, match="no contract stands at 0x1111"):
        Contract(fresh.node, "0x" + "11" * 20).check()


def test_a_network_that_was_set_up_anew_is_refused() -> None:
    with start_anvil() as process:
        contract = deployed(process)
        process.kill()
        with pytest.raises(UnreachableError, match="cannot be reached"):
            contract.check()
        process.restart()
        with pytest.raises(ChainMismatchError, match="the network was set up anew"):
            contract.check()
        with pytest.raises(ChainMismatchError, match="does not answer as the contract does"):
            reason(contract)


def test_other_code_is_refused(fresh: Contract, anvil: NodeProcess) -> None:
    # One bit in 8,005 bytes.
    code = bytearray(artifact().code)
    code[4000] ^= 1
    anvil.rpc("anvil_setCode", "0x" + "22" * 20, "0x" + code.hex())
    with pytest.raises(ChainMismatchError, match="has other code than the one of this version"):
        Contract(fresh.node, "0x" + "22" * 20).check()


def test_a_node_that_cannot_tell_is_no_proof(fresh: Contract, anvil: NodeProcess) -> None:
    for lies in ({"eth_chainId": error(-32000, "no")}, {"eth_getCode": error(-32000, "no")}):
        with (
            start_liar(anvil.url, lies) as server,
            pytest.raises(NodeError, match=": no"),
        ):
            Contract(Node(liar_url(server)), fresh.address).check()


@pytest.mark.parametrize("address", ["", "0x12", "11" * 20, "0x" + "gg" * 20])
def test_other_addresses_are_refused(address: str) -> None:
    with pytest.raises(InputError, match="an address is 0x and 40"):
        Contract(Node("http://127.0.0.1:1"), address)


def test_the_deployer_is_the_owner(contract: Contract) -> None:
    assert contract.owner() == OWNER
    assert contract.roles(OWNER) == (Role.OWNER,)
    assert contract.roles(PERSON) == ()


# --- Access -----------------------------------------------------------------------------------


def test_reasons_of_a_decision(contract: Contract) -> None:
    """Each reason of the contract is seen once, in the words of the embedded rules."""
    assert reason(contract, OWNER) == "owner"
    assert reason(contract) == "no-grant"
    granted(contract, expires_ms=NOW + HOUR_MS, purpose="care")
    assert reason(contract, purpose="care") == "granted"
    assert reason(contract) == "purpose"
    assert reason(contract, purpose="care", at_ms=NOW + HOUR_MS) == "expired"
    carry_out(contract, calls_of(revoke_event(PERSON, IMAGE, Action.VIEW, actor=OWNER)))
    assert reason(contract, purpose="care") == "no-grant"
    roles = [Role.RADIOLOGIST, Role.RESEARCHER, Role.REGISTRAR]
    for role in roles:
        event = role_event(PERSON, role, RoleChange.ADD, actor=OWNER)
        carry_out(contract, calls_of(event))
    assert set(contract.roles(PERSON)) == set(roles)
    carry_out(contract, calls_of(break_glass_event(IMAGE, DIGEST, actor=PERSON)))
    at_ms = now_ms()
    assert reason(contract, at_ms=at_ms) == "break-glass"
    assert reason(contract, at_ms=at_ms, action=Action.SHARE) == "no-grant"
    granted(contract, action=Action.SHARE, purpose="study")
    assert reason(contract, action=Action.SHARE, purpose="study") == "unbounded"
    granted(contract, action=Action.SHARE, purpose="study", expires_ms=NOW + HOUR_MS)
    assert reason(contract, action=Action.SHARE, purpose="study") == "granted"
    service = role_event(OWNER, Role.CONSENT_SERVICE, RoleChange.ADD, actor=OWNER)
    carry_out(contract, calls_of(service))
    carry_out(contract, calls_of(consent_event(IMAGE, "withdraw", DIGEST, actor=OWNER)))
    assert reason(contract, action=Action.SHARE, purpose="study") == "withdrawn"
    carry_out(contract, calls_of(pause_event("pause", actor=OWNER)))
    assert reason(contract) == "paused"
    carry_out(contract, calls_of(pause_event("resume", actor=OWNER)))
    carry_out(contract, calls_of(erase_event(IMAGE, actor=OWNER)))
    assert reason(contract, OWNER) == "erased"


def test_a_raw_decision_is_that_of_web3(contract: Contract) -> None:
    given = granted(contract, subject=OTHER_IMAGE, purpose="care-2", expires_ms=NOW + 1)
    abi = [dict(entry) for entry in artifact().abi]
    same = Web3(contract.node.provider).eth.contract(
        address=Web3.to_checksum_address(contract.address), abi=abi
    )
    image = bytes.fromhex(OTHER_IMAGE[7:])
    person = Web3.to_checksum_address("0x" + "0" * 8 + PERSON)
    exists, expires_ms, purpose = same.functions.grantOf(image, person, 0).call()
    assert (exists, expires_ms, purpose) == (True, NOW + 1, pack_terms(given) % 2**192)
    for at_ms, number in ((NOW, 1), (NOW + 1, 6)):
        assert same.functions.decide(person, image, 0, purpose, at_ms).call() == number
    assert reason(contract, subject=OTHER_IMAGE, purpose="care-2", at_ms=NOW) == "granted"
    assert reason(contract, subject=OTHER_IMAGE, purpose="care-2", at_ms=NOW + 1) == "expired"


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"account": "x"}, "an account is 32"),
        ({"subject": "sha256:5a"}, "a commitment is"),
        ({"action": "open"}, "an action is view"),
        ({"purpose": "Free text"}, "a purpose has letters"),
        ({"at_ms": -1}, "milliseconds since 1970"),
        ({"at_ms": 2**64}, "milliseconds since 1970"),
        ({"at_ms": True}, "milliseconds since 1970"),
    ],
)
def test_malformed_questions_are_refused(
    fresh: Contract, fields: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        reason(fresh, **fields)


@pytest.mark.parametrize(
    "answer",
    ["0x", "0x01", "0x" + "00" * 31 + "0a", "0x" + "ff" * 32, "0x" + "00" * 31 + "01" + "00" * 32],
)
def test_an_answer_that_the_contract_does_not_give_is_no_decision(
    fresh: Contract, anvil: NodeProcess, answer: str
) -> None:
    with start_liar(anvil.url, {"eth_call": result(answer)}) as server:
        lying = Contract(Node(liar_url(server)), fresh.address, chain_id=31337)
        with pytest.raises(ChainMismatchError, match="does not answer as the contract does"):
            reason(lying)


def test_a_call_that_another_contract_refuses_is_no_decision(
    fresh: Contract, anvil: NodeProcess
) -> None:
    with start_liar(anvil.url, {"eth_call": error(3, "execution reverted")}) as server:
        lying = Contract(Node(liar_url(server)), fresh.address, chain_id=31337)
        for ask in (lambda: reason(lying), lying.owner, lambda: lying.roles(PERSON)):
            with pytest.raises(ChainMismatchError, match="does not answer as the contract does"):
                ask()


def test_an_owner_that_is_no_address_is_refused(fresh: Contract, anvil: NodeProcess) -> None:
    with (
        start_liar(anvil.url, {"eth_call": result("0x" + "11" * 32)}) as server,
        pytest.raises(ChainMismatchError, match="does not answer as the contract does"),
    ):
        Contract(Node(liar_url(server)), fresh.address).owner()


def test_a_node_that_is_away_gives_no_decision(fresh: Contract) -> None:
    away = Node(f"http://127.0.0.1:{free_port()}", attempts=1)
    with pytest.raises(UnreachableError, match="cannot be reached"):
        reason(Contract(away, fresh.address))


def test_grants_that_stand_are_listed(fresh: Contract) -> None:
    first = granted(fresh, purpose="care", expires_ms=NOW)
    second = granted(fresh, account=signer(5).account, action=Action.SHARE)
    third = granted(fresh, subject=OTHER_IMAGE, action=Action.CLASSIFY)
    granted(fresh, subject=OTHER_IMAGE, action=Action.VIEW)
    carry_out(fresh, calls_of(revoke_event(PERSON, OTHER_IMAGE, Action.VIEW, actor=OWNER)))
    granted(fresh, subject=OTHER_IMAGE, action=Action.SHARE)
    replaced = granted(fresh, subject=OTHER_IMAGE, action=Action.SHARE, purpose="again")

    def listed(*grants: Grant) -> list[Grant]:
        return sorted(grants, key=lambda one: (one.account, one.subject, one.action))

    assert fresh.grants() == listed(first, second, third, replaced)
    assert fresh.grants(account=PERSON) == listed(first, third, replaced)
    assert fresh.grants(subject=IMAGE) == listed(first, second)
    assert fresh.grants(account=signer(5).account, subject=OTHER_IMAGE) == []
    assert fresh.grants(from_block=fresh.node.block_number() + 1) == []


def test_a_grant_for_a_purpose_that_nobody_can_state_is_left_out(fresh: Contract) -> None:
    head = bytes.fromhex("f6aa270a") + commitment_word(IMAGE) + account_word(PERSON)
    carry_out(fresh, [head + word((2**48 - 1) << 192 | 63)])
    assert fresh.grants() == []
    assert reason(fresh) == "purpose"


def test_a_simulation_sends_nothing(contract: Contract) -> None:
    sender = signer(0).address
    before = contract.node.nonce(sender)
    contract.simulate(sender, anchor_call(b"\x01" * 32, 1))
    assert contract.node.nonce(sender) == before
    assert contract.anchor_of(b"\x01" * 32) is None


STRANGER = signer(6)


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        (
            grant_event(Grant(account=PERSON, subject=IMAGE, action=Action.VIEW), actor=OWNER),
            "not-registrar",
        ),
        (revoke_event(PERSON, IMAGE, actor=OWNER), "not-registrar"),
        (erase_event(IMAGE, actor=OWNER), "not-owner"),
        (pause_event("pause", actor=OWNER), "not-owner"),
        (role_event(PERSON, Role.AUDITOR, RoleChange.ADD, actor=OWNER), "not-owner"),
        (role_event(PERSON, Role.AUDITOR, RoleChange.REMOVE, actor=OWNER), "not-owner"),
        (role_event(PERSON, Role.OWNER, RoleChange.OFFER, actor=OWNER), "not-owner"),
        (role_event(PERSON, Role.OWNER, RoleChange.CANCEL, actor=OWNER), "not-owner"),
        (role_event(PERSON, Role.OWNER, RoleChange.ACCEPT, actor=PERSON), "not-offered"),
        (consent_event(IMAGE, "give", DIGEST, actor=OWNER), "not-consent-service"),
        (break_glass_event(IMAGE, DIGEST, actor=STRANGER.account), "not-clinical"),
        (break_glass_event(IMAGE, DIGEST, actor=PERSON), "not-registrar"),
    ],
    ids=lambda value: value if isinstance(value, str) else value.kind,
)
def test_what_the_contract_would_refuse_is_told_before(
    contract: Contract, event: Any, expected: str
) -> None:
    with pytest.raises(AccessRefusedError, match=r"\w") as caught:
        contract.simulate(STRANGER.address, calls_of(event)[0])
    assert caught.value.reason == expected


def test_refusals_to_the_owner_are_told_before(fresh: Contract) -> None:
    owner = signer(0).address

    def refused(event: Any, sender: str = owner) -> str:
        with pytest.raises(AccessRefusedError, match=r"\w") as caught:
            fresh.simulate(sender, calls_of(event)[0])
        return caught.value.reason

    pause, resume = (pause_event(change, actor=OWNER) for change in ("pause", "resume"))
    assert refused(resume) == "not-paused"
    carry_out(fresh, calls_of(pause))
    assert refused(pause) == "paused"
    assert refused(break_glass_event(IMAGE, DIGEST, actor=PERSON)) == "paused"
    carry_out(fresh, calls_of(resume))
    carry_out(fresh, calls_of(erase_event(IMAGE, actor=OWNER)))
    assert refused(erase_event(IMAGE, actor=OWNER)) == "erased"
    offer = role_event(STRANGER.account, Role.OWNER, RoleChange.OFFER, actor=OWNER)
    accept = role_event(STRANGER.account, Role.OWNER, RoleChange.ACCEPT, actor=STRANGER.account)
    carry_out(fresh, calls_of(offer))
    assert refused(accept, STRANGER.address) == "too-early"
    assert refused(accept) == "not-offered"


def test_calls_that_no_event_leads_to_are_told(fresh: Contract) -> None:
    owner = signer(0).address
    malformed = bytes.fromhex("f6aa270a") + commitment_word(IMAGE) + account_word(PERSON)
    with pytest.raises(InputError, match="no such action"):
        fresh.simulate(owner, malformed + word(3 << 240))
    with pytest.raises(InputError, match="nothing to anchor"):
        fresh.simulate(owner, anchor_call(b"\1" * 32, 1)[:36] + word(0))
    with pytest.raises(InputError, match="no such role"):
        fresh.simulate(owner, keccak(text="grantRole(bytes32,address)")[:4] + b"\1" * 32 + word(5))
    renounce = keccak(text="renounceRole(bytes32,address)")[:4] + word(0) + word(int(owner, 16))
    with pytest.raises(InputError, match="does not do this"):
        fresh.simulate(owner, renounce)
    with pytest.raises(RevertedError, match="revert"):
        fresh.simulate(owner, b"\1\2\3\4")


# --- Anchors ----------------------------------------------------------------------------------


def test_an_anchor_is_found_again(contract: Contract) -> None:
    roots = [bytes([number]) * 32 for number in (201, 202)]
    assert contract.anchor_of(roots[0]) is None
    assert contract.anchor_log(roots[0]) is None
    start = keccak(
        encode(
            ["string", "uint256", "address"],
            ["medseal-anchors/v1", 31337, contract.address],
        )
    )
    for number, root in enumerate(roots, start=1):
        receipt = carry_out(contract, [anchor_call(root, 100 * number)])
        (anchored,) = contract.anchored(receipt)
        head = keccak(encode(["bytes32", "bytes32", "uint64"], [start, root, 100 * number]))
        assert anchored == Anchored(root, 100 * number, number, head, OWNER)
        start = head
        held = contract.anchor_of(root)
        block = contract.node.block(receipt.block_number)
        assert block is not None
        expected = ChainAnchor(size=100 * number, sequence=number, timestamp=block.timestamp)
        assert held == expected
        log = contract.anchor_log(root)
        assert log is not None
        assert (log.transaction, log.block_hash) == (receipt.hash, receipt.block_hash)
    with pytest.raises(AlreadyAnchoredError, match="holds this root already"):
        contract.simulate(signer(0).address, anchor_call(roots[0], 7))


def test_anchors_of_another_contract_are_not_taken(fresh: Contract, anvil: NodeProcess) -> None:
    other = deployed(anvil)
    receipt = carry_out(other, [anchor_call(b"\x05" * 32, 5)])
    assert len(other.anchored(receipt)) == 1
    assert fresh.anchored(receipt) == []


def test_an_event_of_another_form_is_refused(fresh: Contract, anvil: NodeProcess) -> None:
    receipt = carry_out(fresh, [anchor_call(b"\x06" * 32, 6)])
    honest = anvil.rpc("eth_getTransactionReceipt", receipt.hash)
    for lie in ({"data": "0x00"}, {"topics": honest["logs"][0]["topics"][:2]}):
        logs = [{**honest["logs"][0], **lie}]
        with start_liar(anvil.url, {"eth_getTransactionReceipt": changed(logs=logs)}) as server:
            seen = Node(liar_url(server)).receipt(receipt.hash)
        assert seen is not None
        with pytest.raises(ChainMismatchError, match="does not answer as the contract does"):
            fresh.anchored(seen)


# --- Cost -------------------------------------------------------------------------------------


def test_a_decision_takes_no_more_than_five_milliseconds(fresh: Contract) -> None:
    for _ in range(20):
        reason(fresh)
    times = []
    for _ in range(200):
        began = time.perf_counter()
        reason(fresh)
        times.append(time.perf_counter() - began)
    # What it takes where other work does not delay it.
    assert sorted(times)[20] < 0.005
