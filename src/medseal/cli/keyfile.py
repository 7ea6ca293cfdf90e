"""A 32-byte key for plain-file commands: from a key file, or from the workspace."""

from collections.abc import Callable
from pathlib import Path

from medseal.cli.options import Common
from medseal.errors import ConfigurationError
from medseal.pipeline.keys import WorkspaceKeys
from medseal.pipeline.workspace import Workspace

__all__ = ["plain_file_key"]

_KEY_BYTES = 32
_MAX_KEY_FILE_BYTES = 256


def plain_file_key(
    options: Common, key_file: Path | None, choose: Callable[[WorkspaceKeys], bytes]
) -> bytes:
    """Return the key in `key_file` (64 hexadecimal digits), or one of the workspace's own.

    Raises
    ------
    ConfigurationError
        The file cannot be read or has another form.
    WorkspaceError, WrongPassphraseError
        Without a key file: the workspace does not open.
    """
    if key_file is None:
        with Workspace.open(
            options.workspace, options.passphrase(), node=options.node
        ) as workspace:
            return choose(workspace.keys)
    try:
        with key_file.open("rb") as file:
            key = bytes.fromhex(file.read(_MAX_KEY_FILE_BYTES).decode().strip())
    except (OSError, ValueError):
        key = b""
    if len(key) != _KEY_BYTES:
        raise ConfigurationError(f"{key_file}: a key file holds 64 hexadecimal digits")
    return key
