"""Keys of a gateway: in memory, in a keystore file, or held by a signing service."""

import json
import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol, Self

import rlp  # type: ignore[import-untyped]

from medseal.errors import (
    InputError,
    KeystoreError,
    SignatureMismatchError,
    StorageError,
    WrongPassphraseError,
)
from medseal.ledger.ethereum.answers import parse_data
from medseal.ledger.ethereum.codec import address_to_account, checked_address
from medseal.ledger.ethereum.rpc import Node
from medseal.ledger.ethereum.stack import recursion_limit_kept

with recursion_limit_kept():
    from eth_account import Account
    from eth_account.datastructures import SignedTransaction
    from eth_account.signers.local import LocalAccount

__all__ = [
    "KEY_BYTES",
    "MAX_KEYSTORE_BYTES",
    "ExternalSigner",
    "KeySigner",
    "KeystoreSigner",
    "TransactionSigner",
]

KEY_BYTES = 32
MAX_KEYSTORE_BYTES = 16_384
# Memory that a keystore file may make us use: four times that of the usual parameters.
_MAX_SCRYPT_BYTES = 1 << 30
_MAX_PBKDF2_ROUNDS = 10_000_000
_MAX_RAW_BYTES = 262_144
_DYNAMIC_FEE = 2
_CALL_FIELDS = frozenset({"chainId", "nonce", "gas", "to", "value", "data", "type"})
_FEE_FIELDS = ({"gasPrice"}, {"maxFeePerGas", "maxPriorityFeePerGas"})


class TransactionSigner(Protocol):
    """Whoever signs the transactions of a gateway.

    Attributes
    ----------
    address
        ``0x`` and 40 lower-case hexadecimal digits.
    account
        The same as an account of the ledger, without ``0x``.
    """

    @property
    def address(self) -> str:
        """Address of the key."""
        ...

    @property
    def account(self) -> str:
        """Account of the key in the ledger."""
        ...

    def sign(self, transaction: Mapping[str, Any]) -> bytes:
        """Return the signed transaction.

        Parameters
        ----------
        transaction
            ``chainId``, ``nonce``, ``gas`` and the fees, ``gasPrice`` or ``maxFeePerGas`` with
            ``maxPriorityFeePerGas``, as integers; ``to`` (left out for a new contract) and
            ``data`` as bytes or hexadecimal text, ``value`` 0 unless given.

        Raises
        ------
        InputError
            A field is missing, unknown or of another form.
        UnreachableError, SignatureMismatchError
            A signing service does not sign, or not this.
        """
        ...


class KeySigner:
    """A secp256k1 key in memory; neither `repr` nor any message shows it.

    Parameters
    ----------
    key
        32 bytes.

    Raises
    ------
    InputError
        No key of the curve, or one whose address could be taken for a person.
    """

    __slots__ = ("_local", "account", "address")

    def __init__(self, key: bytes) -> None:
        try:
            local: LocalAccount = Account.from_key(key)
        except Exception:  # noqa: BLE001 - whatever the curve's library says could hold the key
            raise InputError(f"a key of a gateway is {KEY_BYTES} bytes of secp256k1") from None
        self._local = local
        self.address = str(local.address).lower()
        self.account = address_to_account(self.address)
        if len(self.account) != len(self.address) - len("0x"):
            raise InputError("the address of this key begins with eight zeros: make another key")

    @classmethod
    def generate(cls) -> Self:
        """Return a new random key."""
        return cls(secrets.token_bytes(KEY_BYTES))

    @classmethod
    def from_key(cls, key: bytes) -> Self:
        """Return the signer of a key of 32 bytes."""
        return cls(key)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.address})"

    def __reduce__(self) -> str:
        raise TypeError("a key is not copied into other processes")

    def sign(self, transaction: Mapping[str, Any]) -> bytes:
        """Return the signed transaction; see `TransactionSigner.sign`."""
        fields = _checked_fields(transaction)
        signed: SignedTransaction = self._local.sign_transaction(fields)
        return bytes(signed.raw_transaction)


class KeystoreSigner(KeySigner):
    """A key that rests in a keystore file of version 3, which other Ethereum programs read too.

    Unlocking takes seconds by design; it is done once, by `load`.
    """

    __slots__ = ()

    @classmethod
    def load(cls, path: Path, passphrase: str) -> Self:
        """Unlock a keystore file.

        Raises
        ------
        StorageError
            The file is missing or closed to us.
        KeystoreError
            No keystore of version 3, or one that would take too much memory.
        WrongPassphraseError
            The passphrase does not unlock it.
        """
        stored = _read_keystore(Path(path))
        try:
            key = bytes(Account.decrypt(stored, passphrase))
        except ValueError:
            raise WrongPassphraseError(f"{path}: the passphrase does not unlock it") from None
        except (KeyError, TypeError, NotImplementedError):
            raise KeystoreError(f"{path}: the keystore is damaged") from None
        signer = cls(key)
        stated = str(stored.get("address", signer.account)).lower().removeprefix("0x")
        if stated != signer.account:
            raise KeystoreError(f"{path}: the keystore holds another key than it names")
        return signer

    def save(self, path: Path, passphrase: str) -> None:
        """Write a keystore file, which nobody else may read; an existing one is left alone.

        Raises
        ------
        InputError
            The passphrase is empty.
        StorageError
            The file exists or cannot be written.
        """
        if not passphrase:
            raise InputError("a keystore needs a passphrase")
        stored = Account.encrypt(bytes(self._local.key), passphrase, kdf="scrypt")
        try:
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(handle, "w") as stream:
                json.dump(stored, stream)
                stream.flush()
                os.fsync(stream.fileno())
        except OSError as error:
            raise StorageError(f"{path}: {error.strerror}, so the key was not kept") from None


def _read_keystore(path: Path) -> dict[str, Any]:
    """Return the JSON of a keystore file whose parameters are bearable."""
    try:
        with path.open("rb") as stream:
            data = stream.read(MAX_KEYSTORE_BYTES + 1)
    except OSError as error:
        raise StorageError(f"{path}: {error.strerror}, so there is no key") from None
    try:
        stored: Any = json.loads(data) if len(data) <= MAX_KEYSTORE_BYTES else None
        crypto = stored["crypto"]
        kdf, params = crypto["kdf"], crypto["kdfparams"]
        if kdf == "scrypt":
            cost = 128 * params["n"] * params["r"] * params["p"]
            is_bearable = 0 < cost <= _MAX_SCRYPT_BYTES
        else:
            is_bearable = kdf == "pbkdf2" and 0 < params["c"] <= _MAX_PBKDF2_ROUNDS
        is_third = stored["version"] == 3  # noqa: PLR2004 - the only version in use
    except (KeyError, TypeError, ValueError, RecursionError):
        raise KeystoreError(f"{path}: not a keystore of version 3") from None
    if not is_third or not is_bearable:
        raise KeystoreError(f"{path}: not a keystore of version 3 with usual parameters")
    return dict(stored)


class ExternalSigner:
    """A signing service that holds the key, such as web3signer, spoken to with JSON-RPC.

    What comes back is compared with what was asked, field by field, and with the address.

    Parameters
    ----------
    url
        Address of the service, MAY hold a user and password, which are never shown.
    address
        ``0x`` and 40 lower-case hexadecimal digits of the key to use.
    timeout_seconds
        Limit of one exchange.

    Raises
    ------
    InputError
        The address of the service or of the key has another form.
    """

    def __init__(self, url: str, address: str, *, timeout_seconds: float = 5.0) -> None:
        self.address = checked_address(address)
        self.account = address_to_account(address)
        self._service = Node(url, timeout_seconds=timeout_seconds)

    def __repr__(self) -> str:
        return f"ExternalSigner({self.address} at {self._service.url})"

    def check(self) -> None:
        """Return if the service holds the key.

        Raises
        ------
        UnreachableError
            The service does not answer.
        SignatureMismatchError
            It does not hold the key.
        """
        held = self._service.request("eth_accounts")
        if not isinstance(held, list) or self.address not in [str(one).lower() for one in held]:
            raise SignatureMismatchError(
                f"{self._service.url} does not hold the key of {self.address}: load it there"
            )

    def sign(self, transaction: Mapping[str, Any]) -> bytes:
        """Return the signed transaction; see `TransactionSigner.sign`."""
        fields = _checked_fields(transaction)
        asked = {name: _json_value(value) for name, value in fields.items()}
        answer = self._service.request("eth_signTransaction", {**asked, "from": self.address})
        # Some services return the bytes alone, others put the parsed transaction beside them.
        raw = parse_data(answer.get("raw") if isinstance(answer, dict) else answer)
        self._check_signed(raw, fields)
        return raw

    def _check_signed(self, raw: bytes, fields: Mapping[str, Any]) -> None:
        """Refuse what is not this transaction, signed by this key."""
        try:
            if len(raw) > _MAX_RAW_BYTES or not _is_signed_form(raw, fields):
                raise SignatureMismatchError(
                    f"{self._service.url} signed another transaction than it was asked to"
                )
            signer = Account.recover_transaction(raw).lower()
        except SignatureMismatchError:
            raise
        except Exception:  # noqa: BLE001 - three libraries parse here, each with errors of its own
            raise SignatureMismatchError(
                f"{self._service.url} returned something that is no signed transaction"
            ) from None
        if signer != self.address:
            raise SignatureMismatchError(
                f"{self._service.url} signed with the key of {signer}, not of {self.address}"
            )


# --- Transactions -----------------------------------------------------------------------------


def _checked_fields(transaction: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields in the form that eth_account signs; a missing chain id is refused."""
    fees = {name for name in transaction if name not in _CALL_FIELDS}
    if fees not in _FEE_FIELDS or not {"chainId", "nonce", "gas"} <= transaction.keys():
        raise InputError("a transaction has a chain id, a nonce, gas, its fees, and no other field")
    fields: dict[str, Any] = {"value": 0, **transaction}
    fields["data"] = _checked_bytes(fields.get("data", b""))
    to = _checked_bytes(fields.pop("to", b"") or b"")
    if to:
        fields["to"] = to
    if "gasPrice" in fees:
        fields.pop("type", None)
    else:
        fields["type"] = _DYNAMIC_FEE
    numbers = [value for name, value in fields.items() if name not in ("data", "to")]
    if any(type(number) is not int or not 0 <= number < 1 << 256 for number in numbers):
        raise InputError("numbers of a transaction are integers of 256 bits")
    if len(to) not in (0, 20):
        raise InputError("the receiver of a transaction has 20 bytes")
    return fields


def _checked_bytes(value: object) -> bytes:
    if isinstance(value, bytes):
        return value
    if isinstance(value, str) and value.startswith("0x"):
        try:
            return bytes.fromhex(value[2:])
        except ValueError:
            pass
    raise InputError("data of a transaction are bytes or hexadecimal text")


def _json_value(value: int | bytes) -> str:
    return hex(value) if isinstance(value, int) else "0x" + value.hex()


def _is_signed_form(raw: bytes, fields: Mapping[str, Any]) -> bool:
    """Say whether raw bytes are a transaction with exactly these fields, and any signature."""
    call = [fields["gas"], fields.get("to", b""), fields["value"], fields["data"]]
    if "gasPrice" in fields:
        content = rlp.decode(raw)
        # EIP-155: the chain id is part of the signature's last number.
        v = int.from_bytes(content[6], "big")
        if (v - 35) // 2 != fields["chainId"]:
            return False
        expected = [fields["nonce"], fields["gasPrice"], *call]
    else:
        if raw[:1] != bytes([_DYNAMIC_FEE]):
            return False
        content = rlp.decode(raw[1:])
        fees = [fields["maxPriorityFeePerGas"], fields["maxFeePerGas"]]
        expected = [fields["chainId"], fields["nonce"], *fees, *call, []]
    return bool(content[:-3] == [_rlp_value(value) for value in expected])


def _rlp_value(value: Any) -> Any:
    if not isinstance(value, int):
        return value
    return value.to_bytes((value.bit_length() + 7) // 8, "big")
