"""Kill -9 at random moments of `medseal seal`: what was acknowledged must be there.

Each round starts a real `medseal seal` in its own process, reads the outcomes that it prints, and
kills it at a random moment. Then the workspace is opened again and everything is checked:
no acknowledged image or event is lost, no half-written object is served, every leaf of the log
verifies, and no byte of plaintext stands in any file.
"""

import json
import os
import secrets
import selectors
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.report import arguments, write_result
from medseal.imaging import MedicalImage
from medseal.imaging.formats import write
from medseal.ledger import Receipt
from medseal.ledger import verify as verify_receipt
from medseal.pipeline.access import find_image
from medseal.pipeline.open import unseal
from medseal.pipeline.workspace import Workspace

# More than one batch, so that a kill can fall between two of them.
IMAGES_A_ROUND = 150
ROUNDS = 200
QUICK_ROUNDS = 6
# Then a new workspace, so that the checks after each round stay short.
ROUNDS_A_WORKSPACE = 20
LONGEST_RUN_SECONDS = 120
MARKER_BYTES = 24
_COMMAND = [sys.executable, "-c", "from medseal.cli import main; main()"]


def make_images(folder: Path, count: int, generator: np.random.Generator) -> list[bytes]:
    """Write small uncompressed images that each hold a marker, and return the markers."""
    folder.mkdir(parents=True)
    markers = []
    for number in range(count):
        values = generator.integers(0, 4096, (1, 96, 96, 1), dtype=np.uint16)
        marker = secrets.token_bytes(MARKER_BYTES)
        values[0, 48, : MARKER_BYTES // 2, 0] = np.frombuffer(marker, "<u2")
        image = MedicalImage(
            stored_values=values,
            bits_stored=16,
            is_signed=False,
            photometric_interpretation="MONOCHROME2",
            source_format="png",
            decoder="generated",
            modality="OT",
        )
        write(image, folder / f"{number:04}.dcm")
        markers.append(marker)
    return markers


def seal_and_kill(
    workspace: Path, passphrase: str, images: Path, life_seconds: float
) -> list[dict[str, Any]]:
    """Run `medseal seal --json`, kill it after a while, and return what it acknowledged."""
    environment = os.environ | {
        "MEDSEAL_PASSPHRASE": passphrase,
        "TMPDIR": str(workspace.parent / "tmp"),
    }
    # The command is a constant of this file, its paths are ours.
    with subprocess.Popen(  # noqa: S603
        [*_COMMAND, "seal", str(images), "--json", "--workspace", str(workspace)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=environment,
    ) as process:
        if process.stdout is None:
            raise RuntimeError("the process has no output")
        output = b""
        deadline = time.monotonic() + life_seconds
        selector = selectors.DefaultSelector()
        selector.register(process.stdout, selectors.EVENT_READ)
        while (left := deadline - time.monotonic()) > 0:
            if selector.select(left):
                chunk = os.read(process.stdout.fileno(), 65536)
                if not chunk:
                    break
                output += chunk
        process.send_signal(signal.SIGKILL)
        output += process.stdout.read()
    # A line cut by the kill was not acknowledged.
    return [json.loads(line) for line in output.splitlines(keepends=True) if line.endswith(b"\n")]


def check_round(
    path: Path, passphrase: str, acknowledged: Sequence[dict[str, Any]]
) -> dict[str, int]:
    """Return how many promises were broken, by kind."""
    lost = changed = receipts = 0
    with Workspace.open(path, passphrase) as workspace:
        for line in acknowledged:
            record = workspace.catalogue.image(line["image_id"])
            if record is None or record.state != "sealed":
                lost += 1
                continue
            opened = unseal(workspace, find_image(workspace, line["image_id"]))
            changed += opened.data != Path(line["file"]).read_bytes()
            receipt = Receipt.parse(Path(line["receipt"]).read_bytes())
            event = verify_receipt(receipt, workspace.ledger.vkey)
            receipts += event.subject != record.commitment
        workspace.ledger.audit()
        half = _unreferenced_or_damaged(workspace)
        pending = len(workspace.catalogue.pending())
    return {
        "lost_images": lost,
        "changed_images": changed,
        "wrong_receipts": receipts,
        "half_written_objects": half,
        "unfinished_records": pending,
    }


def _unreferenced_or_damaged(workspace: Workspace) -> int:
    """Return how many objects nobody refers to, how many are missing, and how many are damaged."""
    known = {record.package for record in workspace.catalogue.images()}
    stored = set(workspace.store.addresses())
    for address in stored:
        workspace.store.get(address)
    return len(known ^ stored)


def plaintext_found(folder: Path, markers: Sequence[bytes], *, since: float) -> int:
    """Return how many markers stand in any file below `folder` that was written since a time."""
    content = b"".join(
        path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.stat().st_mtime >= since
    )
    return sum(marker in content for marker in markers)


def run(rounds: int, *, seed: int = 1) -> dict[str, Any]:
    """Kill `rounds` times and return the broken promises and the counts behind them."""
    generator = np.random.default_rng(seed)
    totals: Counter[str] = Counter()
    acknowledged = interrupted = 0
    with tempfile.TemporaryDirectory() as name:
        home = Path(name)
        (home / "tmp").mkdir()
        passphrase = secrets.token_hex(16)
        whole_run = _whole_run_seconds(home, passphrase, generator)
        for number in range(rounds):
            workspace = home / f"workspace-{number // ROUNDS_A_WORKSPACE}"
            if not workspace.exists():
                Workspace.create(workspace, passphrase).close()
            images = home / "images"
            markers = make_images(images, IMAGES_A_ROUND, generator)
            since = time.time() - 1
            life = float(generator.uniform(0, 1.1 * whole_run))
            lines = seal_and_kill(workspace, passphrase, images, life)
            totals.update(check_round(workspace, passphrase, lines))
            totals["plaintext_markers"] += sum(
                plaintext_found(folder, markers, since=since)
                for folder in (workspace, home / "tmp")
            )
            acknowledged += len(lines)
            interrupted += len(lines) < IMAGES_A_ROUND
            shutil.rmtree(images)
    return {
        "rounds": rounds,
        "seconds_of_a_run_that_is_not_killed": whole_run,
        "rounds_cut_short": interrupted,
        "acknowledged_images": acknowledged,
        "broken_promises": dict(totals),
    }


def _whole_run_seconds(home: Path, passphrase: str, generator: np.random.Generator) -> float:
    """Return how long sealing takes that nobody kills."""
    Workspace.create(home / "first", passphrase).close()
    make_images(home / "first-images", IMAGES_A_ROUND, generator)
    start = time.monotonic()
    lines = seal_and_kill(home / "first", passphrase, home / "first-images", LONGEST_RUN_SECONDS)
    if len(lines) != IMAGES_A_ROUND:
        raise RuntimeError("a run that nobody kills did not seal every image")
    return time.monotonic() - start


def main(argv: Sequence[str] | None = None) -> None:
    """Run the measurement and write ``crash.json``."""
    chosen = arguments(__doc__.splitlines()[0]).parse_args(argv)
    result = run(QUICK_ROUNDS if chosen.quick else ROUNDS)
    write_result("crash", result, chosen, sys_stdout=sys.stdout)


if __name__ == "__main__":
    main()
