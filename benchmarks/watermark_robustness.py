"""Every watermark on the same held-out images and attacks: exact messages, quality, presence.

Each test image is marked by the product, the textbook methods, the spread-spectrum reference and
those other packages that are installed; each copy is distorted and read. A message counts as exact
only if all of its bits come back. Methods without synchronisation are told the original size of the
copy; the other packages mark what a viewer shows in 8 bits and in colour, at their own strength and
some without a key, and the slow ones on fewer and smaller images. The presence AUC tells marked
from unmarked copies under the same distortions. Images whose longer side is below 384 stand apart.
Intervals are 95 %, bootstrap by image.
"""

import json
import secrets
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from benchmarks.report import arguments, write_result
from benchmarks.watermark_costs import bad_inputs, growth, removal
from benchmarks.watermark_plots import draw
from benchmarks.watermark_removal_attacks import RELEASES, attacks_on_the_mark
from benchmarks.watermark_tables import false_positive_row, page_lines, tables
from benchmarks.watermark_trials import (
    CONDITIONS,
    MAX_TRIAL_PIXELS,
    UNSEEN,
    Sample,
    load_records,
    methods,
    run_unit,
    sample,
    trial,
)
from medseal.errors import InputError
from medseal.protection.attacks.conditions import Distortion

__all__ = ["PARTS", "main", "page_lines"]

PARTS = ("robustness", "false_positives", "attacks_on_the_mark", "removal", "bad_inputs", "costs")
IMAGES, QUICK_IMAGES = 30, 1
TRIALS, QUICK_TRIALS = 6000, 4
SIDES, QUICK_SIDES = (512, 1024, 2048, 4096), (512,)
ROUNDS, QUICK_ROUNDS = 7, 1
QUICK_CONDITIONS = ("none", "JPEG 50", "rotation 5")
# Images of one size and camera, so that an estimate of a pattern has something to average.
_ATTACKED_FOLDER = "fundus_idrid"
_ATTACKED = 40
# Spawned, not forked: a fork of a process whose threads have computed with torch may hang.
_PROCESSES = 2
# Slow methods: images of each folder, and the largest, rows times columns.
SLOW = {"invisible-watermark rivaGan": (1, 2**18), "blind-watermark": (3, 2**18)}


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def _units(
    items: Sequence[Sample],
    names: Sequence[str],
    conditions: Sequence[str],
    records: Sequence[dict[str, Any]],
) -> Iterator[tuple[Sample, str, list[str]]]:
    """Yield image, method and the conditions that no record stands for yet."""
    done = {(r["image"], r["method"], r.get("condition")) for r in records}
    refused = {(r["image"], r["method"]) for r in records if r["kind"] == "refused"}
    places: Counter[str] = Counter()
    for item in items:
        places[item.folder] += 1
        for name in names:
            most, pixels = SLOW.get(name, (len(items), item.pixels))
            if places[item.folder] > most or item.pixels > pixels:
                continue
            missing = [c for c in conditions if (item.name, name, c) not in done]
            if missing and (item.name, name) not in refused:
                yield item, name, missing


def robustness(
    items: Sequence[Sample], names: Sequence[str], conditions: Sequence[str], path: Path
) -> list[dict[str, Any]]:
    """Return the records of all images, methods and conditions; those in the file are kept."""
    known = load_records(path)
    units = list(_units(items, names, conditions, known))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(record) + "\n" for record in known))
    with (
        ProcessPoolExecutor(_PROCESSES, mp_context=get_context("spawn")) as pool,
        path.open("a") as file,
    ):
        waiting = {pool.submit(run_unit, *unit): unit for unit in units}
        for count, future in enumerate(as_completed(waiting), start=1):
            item, name, _ = waiting[future]
            for record in future.result():
                file.write(json.dumps(record) + "\n")
            file.flush()
            _say(f"{count} of {len(units)}: {name}, {item.name}")
    wanted = {item.name for item in items}
    found = {
        (r["image"], r["method"], r["kind"], r.get("condition")): r for r in load_records(path)
    }
    return [
        record
        for record in found.values()
        if record["image"] in wanted
        and record["method"] in names
        and record.get("condition", conditions[0]) in conditions
    ]


def false_positives(items: Sequence[Sample], trials: int) -> dict[str, Any]:
    """Return how often the product saw a mark in unmarked images and with wrong keys."""
    base = secrets.token_hex(16)
    accepted = {"unmarked": 0, "wrong_key": 0}
    bound = 0.0
    with ProcessPoolExecutor(_PROCESSES, mp_context=get_context("spawn")) as pool:
        chunks = [pool.submit(trial, item, base, -(-trials // (2 * len(items)))) for item in items]
        counts = dict.fromkeys(accepted, 0)
        for number, future in enumerate(as_completed(chunks), start=1):
            for kind, (count, hits, stated) in future.result().items():
                counts[kind] += count
                accepted[kind] += hits
                bound = max(bound, stated)
            if number % 20 == 0:
                _say(f"false positives: {number} of {len(chunks)} images, {accepted}")
    return {
        kind: false_positive_row(accepted[kind], counts[kind], bound)
        for kind in accepted
        if counts[kind]
    }


def _stored(chosen: Any) -> dict[str, Any]:
    """Return the parts of an earlier result, if only some are measured now."""
    path = chosen.output / f"watermark_robustness{'.quick' if chosen.quick else ''}.json"
    if chosen.only and path.is_file():
        return dict(json.loads(path.read_text())["result"])
    return {}


def _is_chosen(condition: Distortion, attacks: Sequence[str] | None) -> bool:
    """Return whether a condition is named, by its group or as one of the ``standard`` ones."""
    named = {condition.name, condition.group, *({"standard"} if condition.group != UNSEEN else ())}
    return not attacks or not named.isdisjoint(attacks)


def _table(chosen: Any, items: Sequence[Sample], work: Path) -> dict[str, Any]:
    """Return the tables of the methods and conditions that were asked for, and draw them."""
    names = [method.name for method in methods(chosen.methods)]
    every = QUICK_CONDITIONS if chosen.quick else tuple(c.name for c in CONDITIONS)
    conditions = [c.name for c in CONDITIONS if c.name in every and _is_chosen(c, chosen.attacks)]
    if not conditions:
        raise InputError(f"no such attack; here are {', '.join(every)}")
    records = robustness(items, names, conditions, work / "records.jsonl")
    found = tables(records)
    draw(found, records, chosen.output / "plots")
    return found


def _attacks(chosen: Any) -> dict[str, Any]:
    found = sample(chosen.data, images=1 if chosen.quick else _ATTACKED)
    alike = [item for item in found if item.folder == _ATTACKED_FOLDER]
    releases = RELEASES[:1] if chosen.quick else RELEASES
    return attacks_on_the_mark(alike or found[:2], releases=releases)


def _measured(chosen: Any, work: Path) -> Iterator[tuple[str, Any]]:
    """Yield the parts that were asked for, measured."""
    images = chosen.images or (QUICK_IMAGES if chosen.quick else IMAGES)
    items = sample(chosen.data, images=images)
    if not items:
        raise InputError(f"{chosen.data}: no test image of at least 128 x 128 is listed there")
    small = [item for item in items if item.pixels <= MAX_TRIAL_PIXELS] or items[:1]
    sides, rounds = (QUICK_SIDES, QUICK_ROUNDS) if chosen.quick else (SIDES, ROUNDS)
    parts: dict[str, Callable[[], Any]] = {
        "robustness": lambda: _table(chosen, items, work),
        "false_positives": lambda: false_positives(
            small, QUICK_TRIALS if chosen.quick else chosen.trials
        ),
        "attacks_on_the_mark": lambda: _attacks(chosen),
        "removal": lambda: removal(items),
        "bad_inputs": bad_inputs,
        "costs": lambda: growth(sides, rounds),
    }
    for name, measure in parts.items():
        if not chosen.only or name in chosen.only:
            _say(f"{name} ...")
            yield name, measure()


def main(argv: Sequence[str] | None = None) -> None:
    """Run the measurement and write ``watermark_robustness.json`` and the plots."""
    parser = arguments(__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="*", choices=PARTS, help="parts; the others are kept")
    parser.add_argument("--methods", nargs="*", help="names of methods; all that are installed")
    parser.add_argument("--attacks", nargs="*", help="conditions, groups, standard")
    parser.add_argument("--images", type=int, help="most images of each folder")
    parser.add_argument("--trials", type=int, default=TRIALS, help="for false positives")
    parser.add_argument("--work", type=Path, help="folder for records; kept, to go on later")
    chosen = parser.parse_args(argv)
    if chosen.data is None:
        sys.exit("give the folder of images with --data DIR")
    try:
        with tempfile.TemporaryDirectory() as temporary:
            measured = dict(_measured(chosen, chosen.work or Path(temporary)))
    except InputError as error:
        sys.exit(str(error))
    result = {**_stored(chosen), **measured}
    write_result("watermark_robustness", result, chosen, sys_stdout=sys.stdout)


if __name__ == "__main__":
    main()
