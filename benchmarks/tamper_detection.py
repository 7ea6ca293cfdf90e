"""The tamper check and its rivals on held-out images: edits, benign copies, both in sequence.

Each test image is enrolled by every method; then benign copies, edits and edits followed by lossy
handling are put before all of them. Nothing was trained or fixed on these patients. `tampered`
counts as flagged; `unverifiable` counts as not flagged, so as a miss where there is an edit, and is
counted apart. The score of the area under the curve is that of the report. Methods without a record
stand in tables of their own. Intervals are 95 %, bootstrap by image; where no trial or every trial
is an event the open end is the exact binomial bound. F1 counts every place of every edited copy, a
missed one with nothing; where only tiles of 16 places say what changed, a single value has an F1 of
at most 0.01.
"""

import json
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from benchmarks.report import arguments, write_result
from benchmarks.tamper_attacks import attacks
from benchmarks.tamper_blind_tables import blind_tables
from benchmarks.tamper_calibration import calibration
from benchmarks.tamper_cases import bad_inputs, frame_cases
from benchmarks.tamper_costs import costs, record_sizes
from benchmarks.tamper_methods import detectors
from benchmarks.tamper_page import page_lines
from benchmarks.tamper_plots import draw, examples
from benchmarks.tamper_privacy import privacy
from benchmarks.tamper_tables import tables
from benchmarks.tamper_trials import Sample, Trial, part_of, run_unit, sample, trials
from benchmarks.watermark_trials import load_records
from medseal.datasets.material import Material, test_files, training_files
from medseal.errors import InputError
from medseal.protection.tamper.reference.images import is_calibration

__all__ = ["PARTS", "main", "page_lines"]

# The last one is run by its name only: it fixes thresholds and belongs to no result.
PARTS = (
    "trials",
    "native",
    "costs",
    "record_bytes",
    "bad_inputs",
    "frames",
    "attacks",
    "privacy",
    "examples",
    "calibration",
)
IMAGES, QUICK_IMAGES = 6, 1
ROUNDS, CHAINS = 1, 1
NATIVE_IMAGES, NATIVE_ROUNDS, NATIVE_CHAINS = 3, 1, 1
SIDES, QUICK_SIDES = (256, 512, 1024, 2048), (256,)
REPEATS, QUICK_REPEATS = 15, 1
WORKERS = 2
# Images a folder and images with a search; images a folder and steps of a decoder.
ATTACKED, SEARCHES, QUICK_ATTACKED = 8, 8, 1
DECODED, DECODER_STEPS = 64, 800
QUICK_DECODED, QUICK_DECODER_STEPS = 2, 2
_CHUNK = 16
_QUICK_FAMILIES = ("copy-move", "one value by one level")

Row = dict[str, Any]


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def _units(
    items: Sequence[Sample],
    plan: Callable[[str], Sequence[Trial]],
    names: Sequence[str],
    known: Sequence[Row],
) -> list[tuple[Sample, list[Trial], list[str]]]:
    """Return image, trials and methods for which no record stands yet; all images by turns."""
    shown = {name.partition("=")[0] for name in names}
    done = {
        (row["image"], row["trial"])
        for row in known
        if row["kind"] == "left out" or shown <= set(row["methods"])
    }
    found = []
    for item in items:
        missing = [trial for trial in plan(item.name) if (item.name, trial.name) not in done]
        for start in range(0, len(missing), _CHUNK):
            found.append((start, (item, missing[start : start + _CHUNK], list(names))))
    # Of a run that is stopped the records are of all images then.
    return [unit for _, unit in sorted(found, key=lambda pair: pair[0])]


def _results(
    units: Sequence[tuple[Sample, list[Trial], list[str]]], workers: int
) -> Iterator[list[Row]]:
    """Yield the records of each unit as they come, of one worker in this very process."""
    if workers <= 1:
        yield from (run_unit(*unit) for unit in units)
        return
    # Spawned, not forked: a fork of a process whose threads have computed may hang.
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        for future in as_completed([pool.submit(run_unit, *unit) for unit in units]):
            yield future.result()


def run(
    items: Sequence[Sample],
    plan: Callable[[str], Sequence[Trial]],
    names: Sequence[str],
    path: Path,
    *,
    workers: int = WORKERS,
) -> list[Row]:
    """Return the records of all trials; those in the file are kept and the others added to it.

    Without a worker only those in the file are returned.
    """
    known = load_records(path)
    units = _units(items, plan, names, known) if workers else []
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(record) + "\n" for record in known))
    with path.open("a") as file:
        for count, records in enumerate(_results(units, workers), start=1):
            file.writelines(json.dumps(record) + "\n" for record in records)
            file.flush()
            if count % 10 == 0 or count == len(units):
                _say(f"{count} of {len(units)} units")
    wanted = {(item.name, trial.name) for item in items for trial in plan(item.name)}
    found = {(row["image"], row["trial"]): row for row in load_records(path)}
    return [row for place, row in found.items() if place in wanted]


def _plan(chosen: Any, *, rounds: int, chains: int) -> Callable[[str], Sequence[Trial]]:
    if chosen.quick:
        return lambda name: trials(name, rounds=1, chains=1, families=_QUICK_FAMILIES)

    def plan(name: str) -> Sequence[Trial]:
        return part_of(name, trials(name, rounds=rounds, chains=chains), share=chosen.share)

    return plan


def _items(
    chosen: Any, files: Sequence[Material], images: int, *, is_native: bool = False
) -> list[Sample]:
    count = chosen.images or (QUICK_IMAGES if chosen.quick else images)
    found = sample(files, chosen.data, images=count, is_native=is_native)
    return found[: 2 if chosen.quick else None]


def _summary(rows: Sequence[Row], names: Sequence[str], blind: Sequence[str]) -> dict[str, Any]:
    measured = [row for row in rows if row["kind"] != "left out"]
    left = Counter(row["reason"] for row in rows if row["kind"] == "left out")
    return {
        "left_out": dict(sorted(left.items())),
        "with_record": tables(measured, [name for name in names if name not in blind]),
        "blind": blind_tables(measured, blind),
    }


def _trials(chosen: Any, work: Path, *, is_native: bool) -> dict[str, Any]:
    names = chosen.methods or [each.name for each in detectors()]
    judges = detectors(names)
    kind = "native" if is_native else "trials"
    images, rounds, chains = (
        (NATIVE_IMAGES, NATIVE_ROUNDS, NATIVE_CHAINS) if is_native else (IMAGES, ROUNDS, CHAINS)
    )
    items = _items(chosen, test_files(chosen.data), images, is_native=is_native)
    plan = _plan(chosen, rounds=chosen.rounds or rounds, chains=chosen.chains or chains)
    rows = run(items, plan, names, work / f"{kind}.jsonl", workers=chosen.workers)
    blind = [judge.name for judge in judges if judge.is_blind]
    result = _summary(rows, [judge.name for judge in judges], blind)
    if not is_native:
        measured = [row for row in rows if row["kind"] != "left out"]
        draw(measured, result, blind, chosen.output / "plots")
    return result


def _calibration(chosen: Any, work: Path) -> dict[str, Any]:
    files = [item for item in training_files(chosen.data) if is_calibration(item)]
    names = chosen.methods or [each.name for each in detectors() if each.name.startswith("medseal")]
    items = _items(chosen, files, IMAGES)
    plan = _plan(chosen, rounds=chosen.rounds or ROUNDS, chains=chosen.chains or CHAINS)
    rows = run(items, plan, names, work / "calibration.jsonl", workers=chosen.workers)
    return calibration([row for row in rows if row["kind"] != "left out"])


def _examples(chosen: Any) -> dict[str, str]:
    folder = chosen.output / "plots"
    folder.mkdir(parents=True, exist_ok=True)
    return examples(folder / "tamper_examples.png")[1]


def _attacks(chosen: Any) -> dict[str, Any]:
    images, searches = (QUICK_ATTACKED, 0) if chosen.quick else (ATTACKED, SEARCHES)
    return attacks(sample(test_files(chosen.data), chosen.data, images=images), searches=searches)


def _privacy(chosen: Any) -> dict[str, Any]:
    images, steps = (
        (QUICK_DECODED, QUICK_DECODER_STEPS) if chosen.quick else (DECODED, DECODER_STEPS)
    )
    return privacy(chosen.data, images=images, steps=steps)


def _stored(chosen: Any) -> dict[str, Any]:
    """Return the parts of an earlier result, if only some are measured now."""
    suffix = ".quick" if chosen.quick else ""
    path = chosen.output / f"tamper_detection{suffix}.json"
    if not chosen.only or not path.is_file():
        return {}
    return dict(json.loads(path.read_text())["result"])


def _measured(chosen: Any, work: Path) -> Iterator[tuple[str, Any]]:
    """Yield the parts that were asked for, measured."""
    sides, repeats = (QUICK_SIDES, QUICK_REPEATS) if chosen.quick else (SIDES, REPEATS)
    parts: dict[str, Callable[[], Any]] = {
        "trials": lambda: _trials(chosen, work, is_native=False),
        "native": lambda: _trials(chosen, work, is_native=True),
        "costs": lambda: costs(sides, repeats),
        "record_bytes": record_sizes,
        "bad_inputs": bad_inputs,
        "frames": frame_cases,
        "attacks": lambda: _attacks(chosen),
        "privacy": lambda: _privacy(chosen),
        "examples": lambda: _examples(chosen),
    }
    for name, measure in parts.items():
        if not chosen.only or name in chosen.only:
            _say(f"{name} ...")
            yield name, measure()


def main(argv: Sequence[str] | None = None) -> None:
    """Run the measurement and write ``tamper_detection.json`` and the plots."""
    parser = arguments(__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="*", choices=PARTS, help="parts; the others are kept")
    parser.add_argument("--methods", nargs="*", help="names; NAME=FOLDER is another blind training")
    parser.add_argument("--images", type=int, help="most images of each folder")
    parser.add_argument("--rounds", type=int, help="draws of each benign handling")
    parser.add_argument("--chains", type=int, help="of each kind after each family of edits")
    parser.add_argument("--share", type=float, default=1.0, help="of the copies of an image")
    parser.add_argument(
        "--workers", type=int, default=WORKERS, help="processes; 0: tables of the records there are"
    )
    parser.add_argument("--work", type=Path, help="folder for records; kept, to go on later")
    chosen = parser.parse_args(argv)
    if chosen.data is None:
        sys.exit("give the folder of images with --data DIR")
    try:
        with tempfile.TemporaryDirectory() as temporary:
            work = chosen.work or Path(temporary)
            if chosen.only == ["calibration"]:
                sys.stdout.write(json.dumps(_calibration(chosen, work), indent=2) + "\n")
                return
            measured = dict(_measured(chosen, work))
    except InputError as error:
        sys.exit(str(error))
    write_result("tamper_detection", {**_stored(chosen), **measured}, chosen, sys_stdout=sys.stdout)


if __name__ == "__main__":
    main()
