"""Keys of a gateway: nothing shows them, files guard them, a service is not believed."""

import copy
import json
import logging
import os
import stat
import time
from pathlib import Path
from typing import Any

import pytest
import rlp
from eth_account import Account

from medseal.errors import (
    InputError,
    KeystoreError,
    NodeError,
    SignatureMismatchError,
    StorageError,
    UnreachableError,
    WrongPassphraseError,
)
from medseal.ledger.ethereum.rpc import Node
from medseal.ledger.ethereum.signer import (
    MAX_KEYSTORE_BYTES,
    ExternalSigner,
    KeySigner,
    KeystoreSigner,
)
from tests.ledger.ethereum.chain import receipt_of, signer
from tests.ledger.ethereum.liar import Lie, error, liar_url, result, start_liar
from tests.ledger.ethereum.nodes import NodeProcess, free_port

KEY = bytes(range(1, 33))
PASSPHRASE = "correct horse battery staple"  # noqa: S105 - of a key that holds nothing
TO = "0x" + "c0" * 20
DYNAMIC = {
    "chainId": 31337,
    "nonce": 3,
    "gas": 50_000,
    "to": TO,
    "data": b"\1\2\3",
    "type": 2,
    "maxFeePerGas": 10**10,
    "maxPriorityFeePerGas": 10**9,
}
LEGACY = {"chainId": 31337, "nonce": 0, "gas": 21_000, "to": TO, "gasPrice": 0}
DEPLOYMENT = {**LEGACY, "to": None, "data": "0x6000", "gas": 100_000}


# --- In memory --------------------------------------------------------------------------------


def test_a_new_key_is_random() -> None:
    one, other = KeySigner.generate(), KeySigner.generate()
    assert one.address != other.address
    assert one.address == "0x" + one.account
    assert len(one.account) == 40


def test_a_key_has_its_address() -> None:
    assert KeySigner.from_key(KEY).address == "0x" + Account.from_key(KEY).address[2:].lower()


@pytest.mark.parametrize("key", [b"", KEY[:31], KEY + b"\1", bytes(32), b"\xff" * 32])
def test_what_is_no_key_is_refused_without_being_shown(key: bytes) -> None:
    with pytest.raises(InputError, match="32 bytes of secp256k1") as caught:
        KeySigner.from_key(key)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


def test_nothing_shows_a_key(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    held = KeySigner.from_key(KEY)
    held.sign(DYNAMIC)
    shown = repr(held) + str(held) + f"{held}" + caplog.text
    assert KEY.hex() not in shown
    assert held.address in repr(held)
    assert not hasattr(held, "__dict__")
    for copied in (copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="not copied into other processes"):
            copied(held)


@pytest.mark.parametrize("transaction", [DYNAMIC, LEGACY, DEPLOYMENT])
def test_a_signed_transaction_is_what_was_asked(transaction: dict[str, Any]) -> None:
    held = KeySigner.from_key(KEY)
    raw = held.sign(transaction)
    assert Account.recover_transaction(raw).lower() == held.address
    assert held.sign(transaction) == raw
    if "maxFeePerGas" in transaction:
        content = rlp.decode(raw[1:])
        assert (raw[0], content[0], content[1], content[7]) == (2, b"\x7a\x69", b"\3", b"\1\2\3")
    else:
        content = rlp.decode(raw)
        assert content[3] == (b"\xc0" * 20 if transaction["to"] else b"")
        assert (int.from_bytes(content[6], "big") - 35) // 2 == 31337


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"chainId": None}, "integers of 256 bits"),
        ({"nonce": -1}, "integers of 256 bits"),
        ({"gas": "0x5208"}, "integers of 256 bits"),
        ({"value": 2**256}, "integers of 256 bits"),
        ({"nonce": True}, "integers of 256 bits"),
        ({"to": "0x1234"}, "20 bytes"),
        ({"to": "c0" * 20}, "bytes or hexadecimal text"),
        ({"data": "0x1"}, "bytes or hexadecimal text"),
        ({"data": 5}, "bytes or hexadecimal text"),
        ({"gasPrice": 1}, "no other field"),
        ({"accessList": []}, "no other field"),
        ({"from": TO}, "no other field"),
    ],
)
def test_a_malformed_transaction_is_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        KeySigner.from_key(KEY).sign({**DYNAMIC, **change})


@pytest.mark.parametrize("name", ["chainId", "nonce", "gas", "maxFeePerGas"])
def test_a_transaction_that_lacks_a_field_is_refused(name: str) -> None:
    # Without a chain id it could be replayed on another chain.
    with pytest.raises(InputError, match="a transaction has a chain id, a nonce, gas, its fees"):
        KeySigner.from_key(KEY).sign({k: v for k, v in DYNAMIC.items() if k != name})


def test_signing_is_fast() -> None:
    held = KeySigner.from_key(KEY)
    times = []
    for _ in range(20):
        began = time.perf_counter()
        held.sign(DYNAMIC)
        times.append(time.perf_counter() - began)
    # The slow library needs 9 ms, coincurve 0.3.
    assert min(times) < 0.003


# --- In a file --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def keystore(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("keystore") / "gateway.json"
    old = os.umask(0)
    try:
        KeystoreSigner.from_key(KEY).save(path, PASSPHRASE)
    finally:
        os.umask(old)
    return path


def test_a_keystore_is_a_closed_file_of_version_3(keystore: Path) -> None:
    assert stat.S_IMODE(keystore.stat().st_mode) == 0o600
    stored = json.loads(keystore.read_text())
    assert stored["version"] == 3
    assert stored["crypto"]["kdf"] == "scrypt"
    assert stored["crypto"]["kdfparams"]["n"] == 262_144
    text = keystore.read_text().lower()
    assert KEY.hex() not in text
    assert PASSPHRASE not in text


def test_a_keystore_is_unlocked_once(keystore: Path) -> None:
    held = KeystoreSigner.load(keystore, PASSPHRASE)
    assert held.address == KeySigner.from_key(KEY).address
    began = time.perf_counter()
    assert held.sign(DYNAMIC) == KeySigner.from_key(KEY).sign(DYNAMIC)
    # Unlocking again would take a second and more.
    assert time.perf_counter() - began < 0.5


def test_another_passphrase_does_not_unlock(keystore: Path) -> None:
    with pytest.raises(WrongPassphraseError, match="does not unlock it") as caught:
        KeystoreSigner.load(keystore, "wrong passphrase")
    assert "wrong passphrase" not in str(caught.value)


def test_an_existing_file_is_left_alone(keystore: Path) -> None:
    before = keystore.read_bytes()
    with pytest.raises(StorageError, match="File exists"):
        KeystoreSigner.generate().save(keystore, PASSPHRASE)
    assert keystore.read_bytes() == before


def test_a_keystore_needs_a_passphrase(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="needs a passphrase"):
        KeystoreSigner.generate().save(tmp_path / "key.json", "")
    assert not (tmp_path / "key.json").exists()


def test_a_missing_keystore_is_told(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="No such file"):
        KeystoreSigner.load(tmp_path / "none.json", PASSPHRASE)


@pytest.mark.parametrize(
    "damage",
    [
        lambda _stored: b"",
        lambda _stored: b"[" * 100_000,
        lambda _stored: b"{}",
        lambda _stored: b"\xff",
        lambda _stored: b" " * (MAX_KEYSTORE_BYTES + 1),
        lambda stored: json.dumps({**stored, "version": 1}).encode(),
        lambda stored: json.dumps({**stored, "crypto": 5}).encode(),
        lambda stored: changed_parameters(stored, n=2**30),
        lambda stored: changed_parameters(stored, n=-1),
        lambda stored: changed_parameters(stored, r=2**20),
        lambda stored: changed_parameters(stored, n="262144"),
        lambda stored: json.dumps(
            {**stored, "crypto": {**stored["crypto"], "kdf": "argon2"}}
        ).encode(),
    ],
)
def test_a_damaged_keystore_is_refused_at_once(keystore: Path, tmp_path: Path, damage: Any) -> None:
    path = tmp_path / "damaged.json"
    path.write_bytes(damage(json.loads(keystore.read_text())))
    began = time.monotonic()
    with pytest.raises(KeystoreError, match="not a keystore of version 3"):
        KeystoreSigner.load(path, PASSPHRASE)
    assert time.monotonic() - began < 1


def changed_parameters(stored: dict[str, Any], **changes: Any) -> bytes:
    """Return the keystore with other parameters of its key derivation."""
    parameters = {**stored["crypto"]["kdfparams"], **changes}
    return json.dumps({**stored, "crypto": {**stored["crypto"], "kdfparams": parameters}}).encode()


def test_a_keystore_that_lacks_its_content_is_refused(keystore: Path, tmp_path: Path) -> None:
    stored = json.loads(keystore.read_text())
    del stored["crypto"]["mac"]
    path = tmp_path / "damaged.json"
    path.write_text(json.dumps(stored))
    with pytest.raises(KeystoreError, match="the keystore is damaged"):
        KeystoreSigner.load(path, PASSPHRASE)


def test_a_keystore_that_names_another_address_is_refused(keystore: Path, tmp_path: Path) -> None:
    path = tmp_path / "other.json"
    path.write_text(json.dumps({**json.loads(keystore.read_text()), "address": "ab" * 20}))
    with pytest.raises(KeystoreError, match="another key than it names"):
        KeystoreSigner.load(path, PASSPHRASE)


# --- In a service -----------------------------------------------------------------------------


@pytest.mark.parametrize("transaction", [DYNAMIC, LEGACY, DEPLOYMENT])
def test_a_service_signs_as_the_key_does(anvil: NodeProcess, transaction: dict[str, Any]) -> None:
    held = signer(3)
    external = ExternalSigner(anvil.url, held.address)
    external.check()
    assert (external.address, external.account) == (held.address, held.account)
    assert external.sign(transaction) == held.sign(transaction)
    assert repr(external) == f"ExternalSigner({held.address} at {anvil.url})"


def test_what_a_service_signed_is_carried_out(anvil: NodeProcess) -> None:
    node, external = Node(anvil.url), ExternalSigner(anvil.url, signer(3).address)
    transaction = {
        "chainId": node.chain_id(),
        "nonce": node.nonce(external.address),
        "gas": 21_000,
        "to": TO,
        **node.fees(external.address).fields(),
    }
    assert receipt_of(node, node.send(external.sign(transaction))).status == 1


def test_a_service_may_wrap_what_it_signed(anvil: NodeProcess) -> None:
    held = signer(3)
    answer = {"raw": "0x" + held.sign(DYNAMIC).hex(), "tx": {}}
    with start_liar(anvil.url, {"eth_signTransaction": result(answer)}) as server:
        assert ExternalSigner(liar_url(server), held.address).sign(DYNAMIC) == held.sign(DYNAMIC)


def test_a_service_without_the_key_is_told(anvil: NodeProcess) -> None:
    stranger = KeySigner.generate()
    with pytest.raises(
        SignatureMismatchError, match=f"does not hold the key of {stranger.address}"
    ):
        ExternalSigner(anvil.url, stranger.address).check()
    with pytest.raises(NodeError, match="refused eth_signTransaction"):
        ExternalSigner(anvil.url, stranger.address).sign(DYNAMIC)
    with start_liar(anvil.url, {"eth_accounts": result({})}) as server:
        external = ExternalSigner(liar_url(server), signer(3).address)
        with pytest.raises(SignatureMismatchError, match="does not hold the key"):
            external.check()


def test_a_service_that_is_away_is_told() -> None:
    external = ExternalSigner(f"http://127.0.0.1:{free_port()}", signer(3).address)
    with pytest.raises(UnreachableError, match="cannot be reached"):
        external.sign(DYNAMIC)


def signed_instead(number: int = 3, **changes: Any) -> Lie:
    """Answer with another transaction, signed by one of the keys."""
    return result("0x" + signer(number).sign({**DYNAMIC, **changes}).hex())


@pytest.mark.parametrize(
    ("lie", "message"),
    [
        (signed_instead(to="0x" + "bb" * 20), "another transaction"),
        (signed_instead(to=None), "another transaction"),
        (signed_instead(value=1), "another transaction"),
        (signed_instead(data=b"\1\2\4"), "another transaction"),
        (signed_instead(data=b""), "another transaction"),
        (signed_instead(nonce=4), "another transaction"),
        (signed_instead(chainId=1), "another transaction"),
        (signed_instead(gas=50_001), "another transaction"),
        (signed_instead(maxFeePerGas=10**11), "another transaction"),
        (signed_instead(maxPriorityFeePerGas=10**10), "another transaction"),
        (result("0x" + signer(3).sign(LEGACY).hex()), "another transaction"),
        (signed_instead(4), "signed with the key of"),
        (result("0x"), "another transaction"),
        (result("0x02"), "no signed transaction"),
        (result("0x02c0"), "another transaction"),
        (result("0x02f8"), "no signed transaction"),
        (result("0x02" + "00" * 300_000), "another transaction"),
        (result("0x" + signer(3).sign(DYNAMIC).hex() + "00"), "no signed transaction"),
    ],
)
def test_a_service_that_signs_something_else_is_found_out(
    anvil: NodeProcess, lie: Lie, message: str
) -> None:
    with start_liar(anvil.url, {"eth_signTransaction": lie}) as server:
        external = ExternalSigner(liar_url(server), signer(3).address)
        with pytest.raises(SignatureMismatchError, match=message):
            external.sign(DYNAMIC)


@pytest.mark.parametrize("change", [{"chainId": 1}, {"gasPrice": 1}, {"nonce": 1}])
def test_an_old_kind_of_transaction_is_compared_too(
    anvil: NodeProcess, change: dict[str, Any]
) -> None:
    other = "0x" + signer(3).sign({**LEGACY, **change}).hex()
    with start_liar(anvil.url, {"eth_signTransaction": result(other)}) as server:
        external = ExternalSigner(liar_url(server), signer(3).address)
        with pytest.raises(SignatureMismatchError, match="another transaction"):
            external.sign(LEGACY)


@pytest.mark.parametrize("answer", [None, 5, "raw", {"tx": {}}, [], "0x1"])
def test_an_answer_that_is_none_is_refused(anvil: NodeProcess, answer: object) -> None:
    with start_liar(anvil.url, {"eth_signTransaction": result(answer)}) as server:
        external = ExternalSigner(liar_url(server), signer(3).address)
        with pytest.raises(NodeError, match="no data"):
            external.sign(DYNAMIC)


def test_a_signature_that_fits_no_key_is_refused(anvil: NodeProcess) -> None:
    content = rlp.decode(signer(3).sign(DYNAMIC)[1:])
    raw = b"\2" + rlp.encode([*content[:-2], b"\0" * 5, content[-1]])
    with start_liar(anvil.url, {"eth_signTransaction": result("0x" + raw.hex())}) as server:
        external = ExternalSigner(liar_url(server), signer(3).address)
        with pytest.raises(SignatureMismatchError, match="no signed transaction"):
            external.sign(DYNAMIC)


def test_the_login_of_a_service_is_not_shown(anvil: NodeProcess) -> None:
    with start_liar(anvil.url, {"eth_signTransaction": error(-32000, "no")}) as server:
        url = liar_url(server).replace("http://", "http://gateway:hunter2@")
        external = ExternalSigner(url, signer(3).address)
        with pytest.raises(NodeError, match=": no") as caught:
            external.sign(DYNAMIC)
        assert "Authorization" in server.requests[0]["headers"]
    assert "hunter2" not in repr(external) + str(caught.value)
