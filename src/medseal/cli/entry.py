"""Entry point: the table of commands, and errors as one line with an exit code."""

import contextlib
import importlib
import io
import sys
from collections.abc import Sequence

import click

from medseal import __version__
from medseal.cli.options import say
from medseal.errors import InputError, MedsealError, UnreachableError

__all__ = ["COMMANDS", "main"]

# name: (module, what the list of commands says). The list must not load the modules.
COMMANDS = {
    "demo": "Run the whole way on real images and write an HTML report.",
    "init": "Make a workspace: keys, catalogue, ledger.",
    "seal": "Seal images into the workspace.",
    "release": "Write a de-identified, watermarked copy for somebody.",
    "verify": "Say what a copy is: authentic, transcoded, tampered or unverifiable.",
    "open": "Write the original of a sealed image, bit for bit.",
    "deid": "Write a de-identified copy and report what was done.",
    "classify": "Classify a sealed image or a file.",
    "access": "Grant and revoke access, roles and consent; break glass in an emergency.",
    "erase": "Destroy the file key and the salt of an image or a patient.",
    "ledger": "Status, proofs, checkpoints, witnesses, audit, networks, synchronisation.",
    "watermark": "Embed a watermark in a plain file, or extract one.",
    "tamper": "Fingerprint a plain file, or check one against a fingerprint.",
    "cipher": "Encrypt a plain file as a sealed package or a cipher image, and decrypt it.",
    "train": "Train a model from a configuration.",
    "evaluate": "Evaluate a model on a labelled folder.",
    "export": "Export a model for a fast runtime, behind an accuracy gate.",
    "data": "Audit labelled images before training, and write their split.",
    "benchmark": "Run one of the measurements of a source checkout.",
    "doctor": "Check codecs, optional parts, models and the workspace.",
}
INTERRUPTED = 130
# What the extras bring: the core installs and works without them.
_EXTRAS = {
    "learn": frozenset({"skimage", "sklearn", "torch"}),
    "network": frozenset(
        {"coincurve", "eth_abi", "eth_account", "eth_keys", "eth_utils", "rlp", "web3"}
    ),
}


class LazyGroup(click.Group):
    """A group that imports a command's module when the command is called."""

    # click fixes these signatures, so the unused contexts stay.
    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """Return all commands in the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Import and return one command."""
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"medseal.cli.{cmd_name}")
        command = module.command
        if not isinstance(command, click.Command):
            raise TypeError(f"medseal.cli.{cmd_name}.command is no command")
        return command

    def format_commands(
        self,
        ctx: click.Context,  # noqa: ARG002
        formatter: click.HelpFormatter,
    ) -> None:
        """List the commands from the table, without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.command(cls=LazyGroup)
@click.version_option(__version__, prog_name="medseal")
def cli() -> None:
    """Seal medical images, release watermarked copies, verify any copy, classify.

    Not a medical device. Each command takes --workspace, --passphrase-file and --json; each
    option can be set as MEDSEAL_<OPTION>. Exit codes: 0 success, authentic, transcoded or
    processed; 1 tampered, refused or some inputs failed; 2 usage or unreadable input;
    3 unverifiable.
    """


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit with its code.

    Parameters
    ----------
    arguments
        Words after the program's name; those of the process when None.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        # File names may hold what the terminal's encoding cannot print.
        sys.stdout.reconfigure(errors="backslashreplace")
    code: object
    try:
        code = cli.main(
            args=None if arguments is None else list(arguments),
            prog_name="medseal",
            standalone_mode=False,
        )
    except (click.ClickException, MedsealError, ModuleNotFoundError) as error:
        code = _report(error)
    except (click.Abort, KeyboardInterrupt):
        say("interrupted; run the same command again to go on")
        code = INTERRUPTED
    except (OSError, MemoryError) as error:
        code = _report_system(error)
    sys.exit(code if isinstance(code, int) else 0)


def _report(error: click.ClickException | MedsealError | ModuleNotFoundError) -> int:
    """Say an expected error in one line and return its exit code."""
    if isinstance(error, MedsealError):
        say(str(error))
        return error.exit_code
    if isinstance(error, click.ClickException):
        return _report_usage(error)
    missing = (error.name or "").partition(".")[0]
    for extra, modules in _EXTRAS.items():
        if missing in modules:
            say(f"this command needs {error.name}; run: pip install 'medseal[{extra}]'")
            return InputError.exit_code
    raise error


def _report_usage(error: click.ClickException) -> int:
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        click.echo(error.ctx.get_help() if error.ctx else "", err=True)
        return InputError.exit_code
    hint = "see --help"
    if isinstance(error, click.UsageError) and error.ctx is not None:
        hint = f"see '{error.ctx.command_path} --help'"
    say(f"{' '.join(error.format_message().split()).rstrip('.')}; {hint}")
    return InputError.exit_code


def _report_system(error: OSError | MemoryError) -> int:
    """Say what the system refused where no part had a better word for it."""
    if isinstance(error, MemoryError):
        say("not enough memory; run the same command again on a larger machine")
        return UnreachableError.exit_code
    if isinstance(error, BrokenPipeError):
        # The reader of our output went away, as in `medseal seal ... | head`.
        sys.stderr.close()
        return UnreachableError.exit_code
    reason = (error.strerror or type(error).__name__).lower()
    say(f"{error.filename or 'output'}: {reason}; mend that and run the same command again")
    # What could not be written now could not be written at exit either.
    with contextlib.suppress(OSError):
        sys.stdout.close()
    return UnreachableError.exit_code
