"""In which order changes of one right arrive where numbers are lost: the log has the last word."""

from pathlib import Path

from medseal.ledger import (
    Action,
    EthereumLedger,
    KeySigner,
    Role,
    RoleChange,
    State,
    break_glass_event,
    role_event,
)
from medseal.ledger.ethereum.contract import Contract
from medseal.ledger.item import Stage
from tests.ledger.ethereum.gateways import (
    PERSON,
    QUICK,
    SUBJECT,
    WAIT_SECONDS,
    Accounts,
    check_truth,
    deploy,
    grant,
    granted,
    newest_hash,
    quick,
    reach,
    steal,
)
from tests.ledger.ethereum.nodes import NodeProcess

DIGEST = "sha256:" + "c3" * 32


def sign_and_lose_the_first(ledger: EthereumLedger, node: NodeProcess) -> None:
    """Sign and store what waits; then another client takes the first of the numbers."""
    ledger._mirror.scan()
    ledger._relay._stage()
    steal(node, ledger)
    ledger.wait("final", WAIT_SECONDS)


def test_what_a_later_change_overtook_is_not_sent_any_more(
    ledger: EthereumLedger, node: NodeProcess
) -> None:
    node.rpc("evm_setAutomine", False)
    first = grant(ledger)
    ledger.revoke(PERSON, SUBJECT, actor=ledger.signer.account)
    ledger.sync()
    steal(node, ledger, newest_hash(ledger, first))
    node.rpc("evm_setAutomine", True)
    node.rpc("anvil_mine", hex(1))
    ledger.wait("final", WAIT_SECONDS)
    overtaken = ledger.state_of(first)
    assert (overtaken.state, overtaken.detail) == (State.REFUSED, "overtaken")
    assert granted(ledger) == 0
    assert ledger.may(PERSON, SUBJECT, Action.VIEW).reason == "no-grant"
    check_truth(ledger)


def test_what_was_stored_with_the_lost_number_comes_first_or_not_at_all(
    ledger: EthereumLedger, node: NodeProcess
) -> None:
    # A grant and its revocation are signed and stored; then another client takes the first number.
    first = grant(ledger)
    last = ledger.revoke(PERSON, SUBJECT, actor=ledger.signer.account).index
    ledger._mirror.scan()
    ledger._relay._stage()
    sender = ledger.signer.address
    node.rpc("eth_sendTransaction", {"from": sender, "to": sender})
    ledger.wait("final", WAIT_SECONDS)
    told = ledger.state_of(first)
    assert (told.state, told.detail) == (State.REFUSED, "overtaken")
    assert ledger.state_of(last).state is State.FINAL
    assert granted(ledger) == 0
    assert ledger.grants() == []


def test_a_grant_is_not_overtaken_by_one_of_another_action(
    ledger: EthereumLedger, node: NodeProcess
) -> None:
    first, second = grant(ledger, Action.VIEW), grant(ledger, Action.CLASSIFY)
    sign_and_lose_the_first(ledger, node)
    assert [ledger.state_of(index).state for index in (first, second)] == [State.FINAL] * 2
    blocks = [ledger.state_of(index).block_number or 0 for index in (first, second)]
    assert blocks[0] > blocks[1]
    assert {one.action for one in ledger.grants()} == {Action.VIEW, Action.CLASSIFY}
    check_truth(ledger)


def test_a_revocation_of_all_behind_a_newer_grant_still_takes_back_the_older(
    ledger: EthereumLedger, node: NodeProcess
) -> None:
    grant(ledger, Action.CLASSIFY)
    ledger.wait("final", WAIT_SECONDS)
    revoked = ledger.revoke(PERSON, SUBJECT, actor=ledger.signer.account).index
    newer = grant(ledger, Action.VIEW)
    sign_and_lose_the_first(ledger, node)
    assert [one.action for one in ledger.grants()] == [Action.VIEW]
    states = [ledger.state_of(index) for index in (revoked, newer)]
    assert [told.state for told in states] == [State.FINAL] * 2
    assert (states[0].block_number or 0) < (states[1].block_number or 0)
    # Carried out before the revocation, and once more behind it.
    assert granted(ledger) == 3
    check_truth(ledger)


def test_broken_glass_is_overtaken_by_the_revocation_of_all_alone(
    ledger: EthereumLedger, node: NodeProcess
) -> None:
    actor = ledger.signer.account
    ledger.append(role_event(PERSON, Role.RADIOLOGIST, RoleChange.ADD, actor=actor))
    ledger.wait("final", WAIT_SECONDS)
    broken = ledger.append(break_glass_event(SUBJECT, DIGEST, actor=PERSON)).index
    ledger.revoke(PERSON, SUBJECT, Action.VIEW, actor=actor)
    sign_and_lose_the_first(ledger, node)
    assert ledger.state_of(broken).state is State.FINAL
    assert ledger.may(PERSON, SUBJECT, Action.VIEW).reason == "break-glass"
    broken = ledger.append(break_glass_event(SUBJECT, DIGEST[:-2] + "00", actor=PERSON)).index
    ledger.revoke(PERSON, SUBJECT, actor=actor)
    sign_and_lose_the_first(ledger, node)
    told = ledger.state_of(broken)
    assert (told.state, told.detail) == (State.REFUSED, "overtaken")
    assert ledger.may(PERSON, SUBJECT, Action.VIEW).reason == "no-grant"
    check_truth(ledger)


def test_a_role_that_is_given_back_stays_given(ledger: EthereumLedger, node: NodeProcess) -> None:
    actor = ledger.signer.account
    removed, added = (
        ledger.append(role_event(PERSON, Role.AUDITOR, change, actor=actor)).index
        for change in (RoleChange.REMOVE, RoleChange.ADD)
    )
    sign_and_lose_the_first(ledger, node)
    assert ledger.state_of(removed).detail == "overtaken"
    assert ledger.state_of(added).state is State.FINAL
    assert ledger.roles(PERSON) == (Role.AUDITOR,)


def test_a_change_waits_until_the_one_before_has_a_lower_number(
    node: NodeProcess, accounts: Accounts, tmp_path: Path
) -> None:
    with deploy(node, accounts[0], tmp_path / "gateway", quick(confirmations=2)) as ledger:
        node.rpc("evm_setAutomine", False)
        first = grant(ledger)
        ledger.sync()
        steal(node, ledger, newest_hash(ledger, first))
        node.rpc("evm_setAutomine", True)
        node.rpc("anvil_mine", hex(1))
        last = ledger.revoke(PERSON, SUBJECT, actor=ledger.signer.account).index
        # The number of the first is lost when the block of the thief is final; the second waits.
        reach(ledger, first, State.QUEUED, "nonce-taken")
        assert ledger.state_of(last).state is State.QUEUED
        assert [item.nonce for item in ledger._outbox.items(Stage.QUEUED)][-1] is None
        ledger.wait("final", WAIT_SECONDS, progress=lambda _: node.rpc("anvil_mine", hex(1)))
        assert ledger.state().refused == 0
        assert granted(ledger) == 1
        assert ledger.grants() == []
        check_truth(ledger)


def test_what_a_former_key_has_signed_waits_for_what_comes_before_it(
    node: NodeProcess, ledger: EthereumLedger, accounts: Accounts
) -> None:
    second = KeySigner.from_key(accounts[1].key)
    actor = ledger.signer.account
    ledger.append(role_event(second.account, Role.REGISTRAR, RoleChange.ADD, actor=actor))
    ledger.wait("final", WAIT_SECONDS)
    node.rpc("evm_setAutomine", False)
    first = grant(ledger)
    last = ledger.revoke(PERSON, SUBJECT, actor=actor).index
    ledger.sync()
    # The number of the grant is stolen, that of its revocation is not; and the key is changed.
    node.rpc("anvil_dropAllTransactions")
    steal(node, ledger)
    node.rpc("evm_setAutomine", True)
    node.rpc("anvil_mine", hex(1))
    ledger.close()
    folder, address = ledger.folder, ledger.contract.address
    with EthereumLedger(node.url, address, second, folder=folder, settings=QUICK) as again:
        again.wait("final", WAIT_SECONDS)
        assert [again.state_of(index).state for index in (first, last)] == [State.FINAL] * 2
        assert again.grants() == []
        check_truth(again)


def test_what_was_carried_out_too_early_is_carried_out_once_more(
    ledger: EthereumLedger,
) -> None:
    first = grant(ledger, Action.VIEW)
    last = ledger.revoke(PERSON, SUBJECT, Action.VIEW, actor=ledger.signer.account).index
    other = grant(ledger, Action.SHARE)
    ledger._mirror.scan()
    relay = ledger._relay
    (older, signed), (newer, _), _ = relay._stage()
    # As after a chain that began anew in the middle of a round: the newer has the lower number.
    relay._fresh = []
    relay._sign(newer, signed.nonce)
    relay._sign(older, signed.nonce + 1)
    ledger._outbox.store_signed(relay._fresh)
    ledger.wait("final", WAIT_SECONDS)
    assert [one.action for one in ledger.grants()] == [Action.SHARE]
    told = [ledger.state_of(index) for index in (first, last, other)]
    assert [one.state for one in told] == [State.FINAL] * 3
    assert (told[0].block_number or 0) < (told[1].block_number or 0)
    # The grant of another action was not touched.
    assert granted(ledger) == 2
    check_truth(ledger)


def test_a_round_on_two_chains_gives_no_numbers(ledger: EthereumLedger, node: NodeProcess) -> None:
    grant(ledger, Action.VIEW)
    ledger.wait("final", WAIT_SECONDS)
    last = ledger.revoke(PERSON, SUBJECT, Action.VIEW, actor=ledger.signer.account).index
    ledger._mirror.scan()
    node.restart(empty=True)
    Contract.deploy(ledger.node, ledger.signer)
    # What stands was compared with the chain of before.
    assert ledger._relay._stage() == []
    assert [item.nonce for item in ledger._outbox.items(Stage.QUEUED)] == [None]
    ledger.wait("final", WAIT_SECONDS)
    assert ledger.state_of(last).state is State.FINAL
    assert ledger.grants() == []
    check_truth(ledger)
