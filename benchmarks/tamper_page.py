"""The result of the tamper benchmark as lines of docs/results.md."""

from collections.abc import Iterator, Mapping
from typing import Any

__all__ = ["glance_lines", "page_lines"]

_REACHED = {None: "not measured", True: "met", False: "not met"}
_PLOTS = "../benchmarks/results/plots"
_MOST_MILLISECONDS = 80


def _interval(value: Mapping[str, float] | None, *, percent: bool = True) -> str:
    if value is None:
        return ""
    form = ".1%" if percent else ".3f"
    estimate, low, high = (format(value[key], form) for key in ("estimate", "low", "high"))
    return f"{estimate} [{low}, {high}]"


def _share(value: float | None) -> str:
    return "" if value is None else f"{value:.1%}"


def _bound(line: Mapping[str, Any]) -> str:
    least, most = line["least"], line["most"]
    return f"at least {least:g}" if most is None else f"at most {most:g}"


def _measured(found: Mapping[str, Any] | None) -> str:
    if found is None:
        return ""
    if "count" not in found:
        return f"{_interval(found['rate'], percent=False)}, n = {found['trials']:,}"
    return f"{_interval(found['rate'])}, {found['count']:,} of {found['trials']:,}"


def _asked_lines(asked: Mapping[str, Any]) -> Iterator[str]:
    first = next(iter(asked.values()))
    names = list(first["methods"])
    own, rivals = names[0], [name for name in names[1:] if name.startswith("thumbnail")]
    yield f"| {' | '.join(('figure', 'asked', own, '', *rivals))} |"
    yield f"|{'---|' * (4 + len(rivals))}"
    for text, line in asked.items():
        # A line about another training has that one's figure alone.
        here = line["methods"].get(own) or next(iter(line["methods"].values()))
        others = (_measured(line["methods"].get(name)) for name in rivals)
        cells = [text, _bound(line), _measured(here), _REACHED[line["reached"]], *others]
        yield f"| {' | '.join(cells)} |"
    yield ""


def _overall_lines(overall: Mapping[str, Any], sizes: Mapping[str, float]) -> Iterator[str]:
    yield (
        "| method | record, bytes | benign flagged | lossless | lossy | edits | then lossy | "
        "balanced accuracy | AUROC | caught at 2 % | at 5 % | F1 / IoU | abstained |"
    )
    yield f"|{'---|' * 13}"
    for name, row in sorted(overall.items(), key=lambda pair: -pair[1]["auroc"]["estimate"]):
        overlap = "" if row["f1"] is None else f"{row['f1']:.3f} / {row['iou']:.3f}"
        size = sizes.get(name)
        cells = (
            name,
            "" if size is None else f"{size:,.0f}",
            _interval(row["benign_flagged"]),
            _share(row["benign_lossless_flagged"]),
            _share(row["benign_lossy_flagged"]),
            _share(row["unprocessed_edits_caught"]),
            _share(row["processed_edits_caught"]),
            _interval(row["balanced_accuracy"], percent=False),
            _interval(row["auroc"], percent=False),
            _share(row["caught_at_2_percent"]["estimate"]),
            _share(row["caught_at_5_percent"]["estimate"]),
            overlap,
            _share(row["abstained"]),
        )
        yield f"| {' | '.join(cells)} |"
    yield ""


def _counts(found: Mapping[str, Any] | None) -> str:
    if not found or not found["trials"]:
        return ""
    text = f"{found['flagged'] / found['trials']:.0%} of {found['trials']:,}"
    return f"{text}, {found['abstained']} undecided" if found["abstained"] else text


def _family_lines(table: Mapping[str, Any]) -> Iterator[str]:
    groups = sorted({group for row in table.values() for group in row})
    yield f"| edit | {' | '.join(groups)} |\n|{'---|' * (1 + len(groups))}"
    for family, row in table.items():
        yield f"| {family} | {' | '.join(_counts(row.get(group)) for group in groups)} |"
    yield ""


def _modality_lines(table: Mapping[str, Any]) -> Iterator[str]:
    yield "| modality | images | benign flagged | edits caught | then lossy, caught |"
    yield "|---|---|---|---|---|"
    for place, row in table.items():
        cells = (_counts(row[kind]) for kind in ("benign", "unprocessed", "processed"))
        yield f"| {place} | {row['images']} | {' | '.join(cells)} |"
    yield ""


def _paper_lines(paper: Mapping[str, Any]) -> Iterator[str]:
    yield "| figure | the paper says | measured here, with a record |\n|---|---|---|"
    for name, claimed in paper["claimed"].items():
        measured = paper["measured"][name]
        here = "" if measured is None else f"{measured:.4g}"
        yield f"| {name} | {claimed:g} | {here} |"
    yield ""


def _blind_lines(blind: Mapping[str, Any]) -> Iterator[str]:
    yield "### Without a record\n"
    yield f"[Operating curves]({_PLOTS}/tamper_blind_curves.png)\n"
    yield from _asked_lines(blind["asked"])
    yield from _overall_lines(blind["overall"], {})
    for method, parts in blind["by_method"].items():
        for kind, table in parts.items():
            if table:
                yield from _blind_part_lines(f"{method}, {kind.replace('_', ' ')}", table)


def _blind_part_lines(title: str, table: Mapping[str, Any]) -> Iterator[str]:
    yield f"| {title} | trials | AUROC | caught at 5 % | caught | F1 | abstained |"
    yield f"|{'---|' * 7}"
    for value, row in table.items():
        cells = (
            value,
            f"{row['trials']:,}",
            _interval(row["auroc"], percent=False),
            _share(row["caught_at_5_percent"]["estimate"]),
            _share(row["edits_caught"]["estimate"]),
            "" if row["f1"] is None else f"{row['f1']:.3f}",
            _share(row["abstained"]),
        )
        yield f"| {' | '.join(cells)} |"
    yield ""


def _part_lines(title: str, part: Mapping[str, Any]) -> Iterator[str]:
    table = part.get("with_record")
    if table:
        about = table["about"]
        yield f"### {title}\n"
        yield (
            f"{about['images']} images, {about['benign']:,} benign copies, "
            f"{about['unprocessed_edits']:,} edits, {about['processed_edits']:,} edits behind "
            "lossy handling.\n"
        )
        yield from _asked_lines(table["asked"])
        yield from _overall_lines(table["overall"], table["record_bytes"])
        yield from _paper_lines(table["paper"])
        yield "Caught by edit and handling:\n"
        yield from _family_lines(table["by_family"])
        yield from _modality_lines(table["by_modality"])
    if part.get("blind"):
        yield from _blind_lines(part["blind"])


def glance_lines(result: Mapping[str, Any]) -> Iterator[str]:
    """Yield the rows of the summary: what was asked beside what was measured."""
    trials = result.get("trials", {})
    for part, words in (("with_record", "tamper check"), ("blind", "blind detector")):
        for text, line in trials.get(part, {}).get("asked", {}).items():
            found = next(iter(line["methods"].values()))
            number = "" if found is None else f"{found['rate']['estimate']:.4g}"
            yield f"| {words}: {text} | {_bound(line)} | {number} | {_REACHED[line['reached']]} |"
    slowest = result.get("costs", {}).get("512x512", {}).get("slowest_ms")
    if slowest is not None:
        met = _REACHED[slowest <= _MOST_MILLISECONDS]
        yield (
            "| tamper check: slowest kind of copy at 512 x 512 on one thread, ms | "
            f"at most {_MOST_MILLISECONDS} | {slowest:.4g} | {met} |"
        )
    if "bad_inputs" in result:
        count = result["bad_inputs"]["authentic_though_not_count"]
        met = _REACHED[not count]
        yield f"| tamper check: bad input called authentic | at most 0 | {count} | {met} |"


def page_lines(result: Mapping[str, Any]) -> list[str]:
    """Return the lines of this result in docs/results.md."""
    lines: list[str] = []
    if "trials" in result:
        lines.append(
            f"[Operating curves]({_PLOTS}/tamper_curves.png), "
            f"[edits by handling]({_PLOTS}/tamper_families.png), "
            f"[examples on generated phantoms]({_PLOTS}/tamper_examples.png)\n"
        )
        lines += _part_lines("With a record: middle 512 x 512", result["trials"])
    if "native" in result:
        lines += _part_lines("Images in their own size", result["native"])
    return lines
