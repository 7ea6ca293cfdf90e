"""Options that every command has, output as text or JSON lines, and the passphrase."""

import json
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import click

from medseal.errors import ConfigurationError

__all__ = ["FILE", "Common", "argument_file", "common", "emit", "on_one_line", "option", "say"]

FILE = click.Path(path_type=Path)
MAX_PASSPHRASE_FILE_BYTES = 4096
_Function = TypeVar("_Function", bound=Callable[..., Any])


class SettableOption(click.Option):
    """An option that can also be set as MEDSEAL_<OPTION>."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        longest = max(self.opts, key=len).lstrip("-")
        self.envvar = f"MEDSEAL_{longest.replace('-', '_').upper()}"


def option(*declarations: str, **settings: Any) -> Callable[[_Function], _Function]:
    """Declare an option that an environment variable can set."""
    return click.option(*declarations, cls=SettableOption, **settings)


@dataclass(frozen=True, slots=True, kw_only=True)
class Common:
    """What every command takes.

    Attributes
    ----------
    workspace
        Folder.
    passphrase_file
        File whose first line is the passphrase, or None.
    json
        Print one JSON object per line.
    node
        Node of the network in place of the one that the workspace keeps; None for that one.
    """

    workspace: Path
    passphrase_file: Path | None
    json: bool
    node: str | None = None

    def passphrase(self, *, confirm: bool = False) -> str:
        """Return the passphrase from the file, MEDSEAL_PASSPHRASE or the keyboard.

        Raises
        ------
        ConfigurationError
            There is none, or the file cannot be read.
        """
        if self.passphrase_file is not None:
            return _first_line(self.passphrase_file)
        unattended = os.environ.get("MEDSEAL_PASSPHRASE")
        if unattended:
            return unattended
        if not sys.stdin.isatty():
            raise ConfigurationError(
                "no passphrase; give --passphrase-file FILE or set MEDSEAL_PASSPHRASE"
            )
        text: str = click.prompt(
            "Passphrase", hide_input=True, confirmation_prompt=confirm, err=True
        )
        return text


def _first_line(path: Path) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_PASSPHRASE_FILE_BYTES)
        line = data.decode().split("\n", 1)[0].rstrip("\r")
    except OSError as error:
        reason = (error.strerror or "unreadable").lower()
        raise ConfigurationError(f"passphrase file {path}: {reason}; check the path") from error
    except UnicodeDecodeError:
        raise ConfigurationError(f"passphrase file {path}: not UTF-8 text") from None
    if not line:
        raise ConfigurationError(f"passphrase file {path}: its first line is empty")
    return line


def common(function: _Function) -> _Function:
    """Add --workspace, --passphrase-file, --json and --node; the command gets them as `options`."""

    def wrapper(
        *args: Any,
        workspace: Path,
        passphrase_file: Path | None,
        as_json: bool,
        node: str | None,
        **kwargs: Any,
    ) -> Any:
        for value in (node, *kwargs.values()):
            _check_text(value)
        options = Common(
            workspace=workspace, passphrase_file=passphrase_file, json=as_json, node=node
        )
        return function(*args, options=options, **kwargs)

    wrapper.__name__ = function.__name__
    wrapper.__doc__ = function.__doc__
    wrapper.__click_params__ = getattr(function, "__click_params__", [])  # type: ignore[attr-defined]
    decorated: Any = wrapper
    for declare in (
        option("--node", help="Node of the network, instead of the one that the workspace keeps."),
        option("--json", "as_json", is_flag=True, help="One JSON object per line on stdout."),
        option("--passphrase-file", type=FILE, help="File whose first line is the passphrase."),
        option(
            "--workspace", type=FILE, default=Path(".medseal"), show_default=True, help="Folder."
        ),
    ):
        decorated = declare(decorated)
    return decorated  # type: ignore[no-any-return]


def _check_text(value: object) -> None:
    """Refuse words that are not text; paths may hold any bytes."""
    words = value if isinstance(value, tuple) else (value,)
    for word in words:
        if isinstance(word, str) and not word.isascii():
            try:
                word.encode()
            except UnicodeEncodeError:
                message = f"'{on_one_line(word)}' is not UTF-8 text; type it again"
                raise ConfigurationError(message) from None


def argument_file(name: str, **settings: Any) -> Callable[[_Function], _Function]:
    """Declare an argument that is a path."""
    return click.argument(name, type=FILE, **settings)


def emit(options: Common, value: Mapping[str, Any], text: str) -> None:
    """Print `value` as one JSON line, or `text` for a person."""
    if options.json:
        # In ASCII: file names may hold bytes that are no text, which no encoding could print.
        click.echo(json.dumps(value, default=str))
    elif text:
        click.echo(text)


def on_one_line(text: str) -> str:
    """Return `text` with each line break or unprintable character in it shown as an escape."""
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode()
        for character in text
    )


def say(message: str) -> None:
    """Print one line of error or warning on stderr."""
    click.echo(f"medseal: {on_one_line(message)}", err=True)
