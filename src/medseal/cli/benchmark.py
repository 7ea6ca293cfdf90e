"""`medseal benchmark`: run one of the measurements of a source checkout."""

import runpy
import sys
from importlib.util import find_spec
from pathlib import Path

import click

from medseal.cli.options import FILE, Common, common, option
from medseal.errors import ConfigurationError


@click.command(name="benchmark")
@click.argument("name")
@option("--data", type=FILE, help="Folder of images, where the measurement takes one.")
@option("--output", type=FILE, help="Folder for the result; benchmarks/results when not given.")
@option("--quick", is_flag=True, help="A shorter run, for a first look.")
@common
def command(
    options: Common, name: str, data: Path | None, output: Path | None, quick: bool
) -> None:
    """Run the measurement NAME; the benchmarks stand in a source checkout, not in the package."""
    sys.path.insert(0, str(Path.cwd()))
    module = f"benchmarks.{name}"
    if not name.isidentifier() or find_spec("benchmarks") is None or find_spec(module) is None:
        raise ConfigurationError(
            f"no measurement '{name}' here; run this in a source checkout, see its benchmarks/"
        )
    sys.argv = [
        module,
        *(["--data", str(data)] if data else []),
        *(["--output", str(output)] if output else []),
        *(["--quick"] if quick else []),
        *(["--json"] if options.json else []),
    ]
    runpy.run_module(module, run_name="__main__")
