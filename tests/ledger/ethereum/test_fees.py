"""What a transaction pays, and that only one of several with a number can be carried out."""

import pytest
import rlp
from eth_account import Account

from medseal.errors import InputError
from medseal.ledger import FeePolicy, KeySigner
from medseal.ledger.ethereum.answers import Fees
from medseal.ledger.ethereum.fees import GAS_LIMIT, fee_fields, signed_transaction

FREE = Fees(base_fee_wei=None, gas_price_wei=0, priority_fee_wei=0)
FREE_LONDON = Fees(base_fee_wei=0, gas_price_wei=0, priority_fee_wei=0)
LEGACY = Fees(base_fee_wei=None, gas_price_wei=8, priority_fee_wei=0)
LONDON = Fees(base_fee_wei=100, gas_price_wei=110, priority_fee_wei=7)
CALL = {"chainId": 5, "nonce": 3, "to": "0x" + "5a" * 20, "data": b"\x01\x02"}


def test_the_price_follows_the_node_up_to_the_limit() -> None:
    policy = FeePolicy(max_price_wei=1000)
    assert policy.price(FREE) == policy.price(FREE_LONDON) == 0
    assert policy.price(LEGACY) == 8
    assert policy.price(LONDON) == 207
    # Below the limit all goes that pays the base fee.
    assert FeePolicy(max_price_wei=206).price(LONDON) == 206
    assert FeePolicy(max_price_wei=99).price(LONDON) is None
    assert FeePolicy(max_price_wei=7).price(LEGACY) is None
    tipped = Fees(base_fee_wei=0, gas_price_wei=9, priority_fee_wei=9)
    assert FeePolicy(max_price_wei=0).price(tipped) == 0


def test_a_replacement_pays_a_quarter_more_at_least() -> None:
    policy = FeePolicy()
    assert policy.price(LEGACY, above=100) == 126
    assert policy.price(LONDON, above=100) == 207
    assert FeePolicy(max_price_wei=125).price(LEGACY, above=100) is None


def test_fields_are_those_of_the_chain() -> None:
    assert fee_fields(LEGACY, 8) == {"gasPrice": 8}
    assert fee_fields(LONDON, 207) == {
        "type": 2,
        "maxFeePerGas": 207,
        "maxPriorityFeePerGas": 7,
    }
    # Nodes want both parts raised.
    assert fee_fields(LONDON, 300, is_bump=True)["maxPriorityFeePerGas"] == 300
    assert fee_fields(FREE_LONDON, 0)["maxPriorityFeePerGas"] == 0


def test_a_policy_has_sensible_limits() -> None:
    with pytest.raises(InputError, match="a fee policy has"):
        FeePolicy(max_price_wei=-1)
    with pytest.raises(InputError, match="a fee policy has"):
        FeePolicy(bump_seconds=0.0)


def test_a_signed_transaction_holds_what_was_asked_for() -> None:
    signer = KeySigner.from_key(bytes(31) + b"\x07")
    signed = signed_transaction(signer, CALL, LEGACY, 8, is_bump=False)
    assert (signed.account, signed.nonce, signed.price) == (signer.account, 3, 8)
    nonce, price, gas, to, value, data, *_ = rlp.decode(signed.raw)
    assert [int.from_bytes(one, "big") for one in (nonce, price, gas, value)] == [
        3,
        8,
        GAS_LIMIT,
        0,
    ]
    assert (to, data) == (b"\x5a" * 20, b"\x01\x02")
    assert Account.recover_transaction(signed.raw).lower() == signer.address
    assert len(signed.hash) == 66
    dear = signed_transaction(signer, CALL, LONDON, 300, is_bump=True)
    assert dear.raw[:1] == b"\x02"
    assert dear.hash != signed.hash
