"""The owner: offered, and accepted a day later, to the second."""

import pytest

from tests.ledger.contracts.conftest import Parties
from tests.ledger.contracts.harness import ADMIN_ROLE, VIEW, Deployed, Reverted, role

DAY_SECONDS = 86_400
NOBODY = "0x" + "00" * 20


def test_whoever_deploys_is_the_owner(contract: Deployed, parties: Parties) -> None:
    assert contract.call("owner") == parties.owner
    assert contract.call("defaultAdmin") == parties.owner
    assert contract.call("DEFAULT_ADMIN_ROLE") == ADMIN_ROLE
    assert contract.call("hasRole", ADMIN_ROLE, parties.owner)
    assert [contract.event(log) for log in contract.deployment["logs"]] == [
        (
            "RoleGranted",
            {"role": ADMIN_ROLE, "account": parties.owner, "sender": parties.owner},
        )
    ]


def test_an_offer_changes_nothing_yet(contract: Deployed, parties: Parties, subject: bytes) -> None:
    done = contract.send("beginDefaultAdminTransfer", parties.heir)
    # OpenZeppelin accepts strictly after this second.
    schedule = done.timestamp + DAY_SECONDS - 1
    assert done.event == (
        "DefaultAdminTransferScheduled",
        {"newAdmin": parties.heir, "acceptSchedule": schedule},
    )
    assert contract.call("pendingDefaultAdmin") == (parties.heir, schedule)
    assert contract.call("owner") == parties.owner
    assert contract.decide(parties.heir, subject, VIEW) == "no-grant"


def test_an_offer_is_accepted_after_a_day_and_no_second_before(
    contract: Deployed, parties: Parties, subject: bytes
) -> None:
    offered = contract.send("beginDefaultAdminTransfer", parties.heir)
    contract.chain.next_block_at(offered.timestamp + DAY_SECONDS - 1)
    with pytest.raises(Reverted, match="AccessControlEnforcedDefaultAdminDelay"):
        contract.send("acceptDefaultAdminTransfer", sender=parties.heir)
    assert contract.chain.now() == offered.timestamp + DAY_SECONDS - 1
    contract.chain.next_block_at(offered.timestamp + DAY_SECONDS)
    done = contract.send("acceptDefaultAdminTransfer", sender=parties.heir)
    assert done.timestamp == offered.timestamp + DAY_SECONDS
    sender = {"role": ADMIN_ROLE, "sender": parties.heir}
    assert done.events == (
        ("RoleRevoked", {**sender, "account": parties.owner}),
        ("RoleGranted", {**sender, "account": parties.heir}),
    )
    assert contract.call("owner") == parties.heir
    assert contract.call("pendingDefaultAdmin") == (NOBODY, 0)
    assert contract.decide(parties.heir, subject, VIEW) == "owner"
    assert contract.decide(parties.owner, subject, VIEW) == "no-grant"
    # Rights go with the role: the old owner has none, the new one all.
    with pytest.raises(Reverted, match="AccessControlUnauthorizedAccount"):
        contract.send("pause", sender=parties.owner)
    with pytest.raises(Reverted, match="NotRegistrar"):
        contract.send("anchor", subject, 1, sender=parties.owner)
    contract.send("anchor", subject, 1, sender=parties.heir)
    contract.send("grantRole", role("registrar"), parties.owner, sender=parties.heir)


def test_an_offer_is_accepted_once(contract: Deployed, parties: Parties) -> None:
    offered = contract.send("beginDefaultAdminTransfer", parties.heir)
    contract.chain.next_block_at(offered.timestamp + DAY_SECONDS)
    contract.send("acceptDefaultAdminTransfer", sender=parties.heir)
    with pytest.raises(Reverted, match="AccessControlInvalidDefaultAdmin"):
        contract.send("acceptDefaultAdminTransfer", sender=parties.heir)


def test_an_offer_can_be_withdrawn(contract: Deployed, parties: Parties) -> None:
    offered = contract.send("beginDefaultAdminTransfer", parties.heir)
    assert contract.send("cancelDefaultAdminTransfer").event == ("DefaultAdminTransferCanceled", {})
    assert contract.call("pendingDefaultAdmin") == (NOBODY, 0)
    contract.chain.next_block_at(offered.timestamp + DAY_SECONDS)
    with pytest.raises(Reverted, match="AccessControlInvalidDefaultAdmin"):
        contract.send("acceptDefaultAdminTransfer", sender=parties.heir)
    # Where nothing is offered there is nothing to tell.
    assert contract.send("cancelDefaultAdminTransfer").events == ()


def test_a_second_offer_replaces_the_first_and_its_day(
    contract: Deployed, parties: Parties
) -> None:
    first = contract.send("beginDefaultAdminTransfer", parties.stranger)
    contract.chain.next_block_at(first.timestamp + DAY_SECONDS - 10)
    second = contract.send("beginDefaultAdminTransfer", parties.heir)
    assert [name for name, _ in second.events] == [
        "DefaultAdminTransferCanceled",
        "DefaultAdminTransferScheduled",
    ]
    contract.chain.next_block_at(first.timestamp + DAY_SECONDS)
    with pytest.raises(Reverted, match="AccessControlEnforcedDefaultAdminDelay"):
        contract.send("acceptDefaultAdminTransfer", sender=parties.heir)
    with pytest.raises(Reverted, match="AccessControlInvalidDefaultAdmin"):
        contract.send("acceptDefaultAdminTransfer", sender=parties.stranger)


def test_the_new_owner_keeps_the_roles_it_had(contract: Deployed, parties: Parties) -> None:
    contract.send("grantRole", role("researcher"), parties.heir)
    offered = contract.send("beginDefaultAdminTransfer", parties.heir)
    contract.chain.next_block_at(offered.timestamp + DAY_SECONDS)
    contract.send("acceptDefaultAdminTransfer", sender=parties.heir)
    assert contract.call("hasRole", role("researcher"), parties.heir)


def test_the_day_cannot_be_changed(contract: Deployed, parties: Parties) -> None:
    for seconds in (0, 1, 10 * DAY_SECONDS):
        with pytest.raises(Reverted, match="NotSupported"):
            contract.send("changeDefaultAdminDelay", seconds, sender=parties.owner)
    assert contract.call("defaultAdminDelay") == DAY_SECONDS - 1
    assert contract.call("pendingDefaultAdminDelay") == (0, 0)
    assert contract.call("defaultAdminDelayIncreaseWait") == 5 * DAY_SECONDS
    # Nothing is scheduled, so there is nothing to take back.
    assert contract.send("rollbackDefaultAdminDelay").events == ()
    assert contract.call("defaultAdminDelay") == DAY_SECONDS - 1
