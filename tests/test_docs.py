"""The reference pages are what the code says; `make docs` writes them anew."""

import inspect
import os
import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from benchmarks.__main__ import page
from medseal import errors
from medseal.cli.entry import COMMANDS, cli
from medseal.errors import MedsealError

ROOT = Path(__file__).parents[1]
REFERENCE = ROOT / "docs" / "reference"


def all_commands(command: click.Command, name: str) -> Iterator[tuple[str, click.Command]]:
    if not isinstance(command, click.Group):
        yield name, command
        return
    context = click.Context(command)
    for child in command.list_commands(context):
        found = command.get_command(context, child)
        assert found is not None
        yield from all_commands(found, f"{name} {child}")


def command_line_page() -> str:
    parts = [
        "# Command line",
        "",
        "Made from the commands themselves. Every option can also be set as `MEDSEAL_<OPTION>`,",
        "for example `MEDSEAL_WORKSPACE`. `MEDSEAL_PASSPHRASE` gives the passphrase to unattended",
        "runs. With `--json` a command prints one JSON object a line on standard output; errors go",
        "to standard error, one line each.",
        "",
        "Exit codes: 0 success, authentic, transcoded or processed; 1 tampered, refused or some",
        "inputs failed; 2 usage or unreadable input; 3 unverifiable; 130 interrupted.",
    ]
    for name, command in all_commands(cli, "medseal"):
        context = click.Context(command, info_name=name, terminal_width=96, max_content_width=96)
        parts += ["", f"## `{name}`", "", "```", command.get_help(context), "```"]
    return "\n".join(parts) + "\n"


def errors_page() -> str:
    parts = [
        "# Errors",
        "",
        "Made from `medseal.errors`. Indentation shows the tree; the number is the exit code.",
        "",
    ]

    def visit(kind: type[MedsealError], depth: int) -> None:
        text = (inspect.getdoc(kind) or "").splitlines()[0]
        parts.append(f"{'  ' * depth}- `{kind.__name__}` ({kind.exit_code}): {text}")
        for child in sorted(kind.__subclasses__(), key=lambda item: item.__name__):
            if child.__module__.startswith(f"{errors.__name__}."):
                visit(child, depth + 1)

    visit(MedsealError, 0)
    return "\n".join(parts) + "\n"


PAGES = {"command-line.md": command_line_page, "errors.md": errors_page}


def test_the_command_line_page_is_current() -> None:
    assert (REFERENCE / "command-line.md").read_text() == command_line_page(), "run: make docs"


def test_the_errors_page_is_current() -> None:
    assert (REFERENCE / "errors.md").read_text() == errors_page(), "run: make docs"


def test_the_results_page_is_current() -> None:
    assert (ROOT / "docs" / "results.md").read_text() == page(), "run: make docs"


def test_every_error_is_in_all() -> None:
    kinds = {
        name
        for name, value in vars(errors).items()
        if inspect.isclass(value) and issubclass(value, MedsealError)
    }
    assert kinds == set(errors.__all__)


def test_every_option_can_be_set_by_its_environment_variable() -> None:
    for name, command in all_commands(cli, "medseal"):
        for parameter in command.params:
            if isinstance(parameter, click.Option) and parameter.name != "help":
                longest = max(parameter.opts, key=len).lstrip("-")
                expected = f"MEDSEAL_{longest.replace('-', '_').upper()}"
                assert parameter.envvar == expected, f"{name} {longest}"


def test_every_command_has_a_file_of_its_own_name() -> None:
    folder = ROOT / "src" / "medseal" / "cli"
    assert all((folder / f"{name}.py").is_file() for name in COMMANDS)


def commands_in(text: str) -> Iterator[list[str]]:
    for block in re.findall(r"^```(?:sh|console)?\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        for line in block.splitlines():
            if line.startswith("medseal "):
                yield line.split("  #")[0].split()[1:]


@pytest.mark.parametrize(
    "document",
    [ROOT / "README.md", *sorted((ROOT / "docs" / "how-to").glob("*.md"))],
    ids=lambda path: path.name,
)
def test_commands_in_the_documents_exist_with_their_options(document: Path) -> None:
    for words in commands_in(document.read_text()):
        command: click.Command = cli
        rest = list(words)
        while isinstance(command, click.Group):
            found = command.get_command(click.Context(command), rest.pop(0))
            assert found is not None, f"{document.name}: medseal {' '.join(words)}"
            command = found
        known = {name for parameter in command.params for name in parameter.opts}
        used = {word.split("=")[0] for word in rest if word.startswith("--")}
        assert used <= known | {"--help"}, f"{document.name}: medseal {' '.join(words)}"


def test_every_page_that_is_linked_exists() -> None:
    for document in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]:
        for target in _links(document.read_text()):
            path = (document.parent / target.split("#")[0]).resolve()
            assert path.exists(), f"{os.path.relpath(document, ROOT)} links to {target}"


def _links(text: str) -> Iterator[str]:
    for part in text.split("](")[1:]:
        target = part.split(")")[0]
        if target and not target.startswith(("http:", "https:", "#", "mailto:")):
            yield target


if __name__ == "__main__":
    REFERENCE.mkdir(exist_ok=True)
    for page_name, make in PAGES.items():
        (REFERENCE / page_name).write_text(make())
