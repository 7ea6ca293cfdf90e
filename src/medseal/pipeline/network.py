"""Which network judges the rights of a workspace: node, chain, contract, account; no secret."""

import json
import re
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

from medseal.errors import ConfigurationError, WorkspaceError
from medseal.imaging.files import read_file, write_file

__all__ = ["NETWORK_FILE", "NetworkSetting", "checked_url", "kept_url"]

NETWORK_FILE = "network.json"
_VERSION = 1
_MAX_BYTES = 4096
_MAX_CONFIRMATIONS = 10_000
_CONTRACT = re.compile(r"0x[0-9a-f]{40}")
_ACCOUNT = re.compile(r"(?!0{8})[0-9a-f]{40}")


def checked_url(url: str) -> str:
    """Return the address of a node.

    Raises
    ------
    ConfigurationError
        Not an http or https address.
    """
    try:
        parts = urlsplit(url)
        is_usable = parts.scheme in ("http", "https") and bool(parts.hostname)
        parts.port  # noqa: B018 - raises for what is no port
    except ValueError:
        is_usable = False
    if not is_usable:
        # Not repeated: it may hold a password.
        raise ConfigurationError("a node is given as http://HOST:PORT or https://HOST/PATH")
    return url


def kept_url(url: str) -> str:
    """Return the address of a node that may be written down: without user and password.

    Raises
    ------
    ConfigurationError
        Not an http or https address, or it holds a user or password.
    """
    if "@" in urlsplit(checked_url(url)).netloc:
        raise ConfigurationError(
            "a password in the address of the node would be kept openly; give it each time with "
            "--node or MEDSEAL_NODE"
        )
    return url


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkSetting:
    """What a workspace keeps about its network, in `NETWORK_FILE`.

    Attributes
    ----------
    url
        Node to ask, unless another one is given; without user and password.
    chain_id, contract
        Pinned: another chain or contract is refused.
    account
        Of the gateway's key, 40 hexadecimal digits.
    key_file
        Keystore file of that key; None where it is in the keystore of the workspace.
    confirmations
        Blocks above one until it counts as final; 0 where blocks are final at once (QBFT).
    max_head_age_seconds
        Age of the newest block from which on nothing is allowed; None for a network that makes
        blocks only of transactions.

    Raises
    ------
    ConfigurationError
        A field has another form.
    """

    url: str
    chain_id: int
    contract: str
    account: str
    key_file: str | None = None
    confirmations: int = 0
    max_head_age_seconds: int | None = 60

    def __post_init__(self) -> None:
        kept_url(self.url)
        if type(self.chain_id) is not int or not 0 < self.chain_id < 2**53:
            raise ConfigurationError("a chain id is a whole number from 1")
        if type(self.confirmations) is not int or not 0 <= self.confirmations <= _MAX_CONFIRMATIONS:
            raise ConfigurationError(f"confirmations count from 0 to {_MAX_CONFIRMATIONS}")
        age = self.max_head_age_seconds
        if age is not None and (type(age) is not int or age < 1):
            raise ConfigurationError("the age of a block counts seconds from 1")
        if not _CONTRACT.fullmatch(self.contract) or not _ACCOUNT.fullmatch(self.account):
            raise ConfigurationError("a contract is written as 0x and 40 lower-case digits")

    @property
    def name(self) -> str:
        """Chain id and contract, as folders and events name the network."""
        return f"{self.chain_id}-{self.contract}"

    def save(self, workspace: Path) -> None:
        """Write the setting into a workspace."""
        value = {"version": _VERSION, **asdict(self)}
        write_file(f"{json.dumps(value, indent=1)}\n".encode(), workspace / NETWORK_FILE)

    @classmethod
    def load(cls, workspace: Path) -> Self | None:
        """Return the setting of a workspace; None for one without a network.

        Raises
        ------
        WorkspaceError
            The file is damaged.
        """
        path = workspace / NETWORK_FILE
        if not path.exists():
            return None
        data = read_file(path, limit_bytes=_MAX_BYTES, error_class=WorkspaceError)
        try:
            value = json.loads(data)
            names = {field.name for field in fields(cls)}
            if value.pop("version") != _VERSION or value.keys() != names:
                raise WorkspaceError(f"{path}: of another version; update medseal")
            return cls(**value)
        except (ValueError, TypeError, AttributeError, KeyError, ConfigurationError) as error:
            message = f"{path}: damaged; run 'medseal ledger connect' again"
            raise WorkspaceError(message) from error
