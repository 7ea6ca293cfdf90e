"""How long `medseal --help` takes, and what it loads."""

import subprocess
import sys
import time
from collections.abc import Sequence
from statistics import median

from benchmarks.report import arguments, write_result

RUNS = 20
QUICK_RUNS = 5
_HEAVY = ("numpy", "torch", "web3", "pydicom", "sqlalchemy")
_HELP = "from medseal.cli import main; main(['--help'])"
_LOADED = "import sys, medseal; print([m for m in {heavy!r} if m in sys.modules])"


def help_seconds() -> float:
    """Return the wall time of one `medseal --help` in a process of its own."""
    start = time.perf_counter()
    # The arguments are constants of this file.
    subprocess.run([sys.executable, "-c", _HELP], check=True, capture_output=True)  # noqa: S603
    return time.perf_counter() - start


def loaded_by_import() -> str:
    """Return which heavy libraries `import medseal` loads."""
    script = _LOADED.format(heavy=_HEAVY)
    # The arguments are constants of this file.
    run = subprocess.run(  # noqa: S603
        [sys.executable, "-c", script], check=True, capture_output=True, text=True
    )
    return run.stdout.strip()


def main(argv: Sequence[str] | None = None) -> None:
    """Run the measurement and write ``startup.json``."""
    chosen = arguments(__doc__.splitlines()[0]).parse_args(argv)
    times = [help_seconds() for _ in range(QUICK_RUNS if chosen.quick else RUNS)]
    result = {
        "runs": len(times),
        "help_seconds_minimum": min(times),
        "help_seconds_median": median(times),
        "loaded_by_import_medseal": loaded_by_import(),
    }
    write_result("startup", result, chosen, sys_stdout=sys.stdout)


if __name__ == "__main__":
    main()
