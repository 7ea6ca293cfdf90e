"""Records of the watermark benchmark to tables: rates with intervals, presence, quality."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from statistics import fmean, median
from typing import Any

import numpy as np

from benchmarks.watermark_trials import CONDITIONS, UNSEEN
from medseal.metrics.intervals import bootstrap_by_group
from medseal.metrics.ranking import auroc
from medseal.metrics.watermark import wilson_interval

__all__ = ["page_lines", "tables"]

RESAMPLES = 2000
SEED = 20_240_501
# Said by the paper that is compared with, without images or code to check it by.
PAPER: Mapping[str, Mapping[str, float]] = {
    "CNN watermark": {"ssim": 0.98, "extraction": 0.97, "extraction_under_attack": 0.95},
    "DCT or DWT watermark": {"extraction_under_attack": 0.85},
}
_PRODUCT = "medseal"

Record = dict[str, Any]


def _mean_interval(by_image: Mapping[str, Sequence[float]]) -> dict[str, float]:
    """Return the mean over images with a bootstrap interval by image."""
    names = sorted(by_image)
    values = np.array([fmean(by_image[name]) for name in names])

    def mean(weights: Any) -> Any:
        return (weights @ values / weights.sum(axis=1))[:, None]

    (found,) = bootstrap_by_group(
        mean, names, generator=np.random.default_rng(SEED), resamples=RESAMPLES
    )
    return {"estimate": found.estimate, "low": found.low, "high": found.high}


def _rates(records: Sequence[Record]) -> dict[str, Any]:
    exact: dict[str, list[float]] = defaultdict(list)
    for record in records:
        exact[record["image"]].append(float(record["exact"]))
    return {
        "images": len(exact),
        "exact_rate": _mean_interval(exact),
        "bit_accuracy": fmean(record["bits"] for record in records),
    }


def _presence(records: Sequence[Record]) -> float | None:
    """Return the area under the ROC: marked against unmarked, both under the same distortion."""
    pairs = [(r["score"], r["unmarked_score"]) for r in records if r["unmarked_score"] is not None]
    if not pairs:
        return None
    scores = np.array([score for pair in pairs for score in pair], np.float64)
    labels = np.tile([1, 0], len(pairs))
    return auroc(labels, scores)


def _condition_rows(records: Sequence[Record]) -> dict[str, Any]:
    rows = {}
    for condition in CONDITIONS:
        here = [record for record in records if record["condition"] == condition.name]
        if here:
            rows[condition.name] = {
                "group": condition.group,
                "asked": condition.least_exact_rate,
                **_rates(here),
                "presence_auc": _presence(here),
            }
    return rows


def _quality(marks: Sequence[Record]) -> dict[str, Any]:
    return {
        "images": len(marks),
        "psnr_db": {
            "min": min(mark["psnr_db"] for mark in marks),
            "mean": fmean(mark["psnr_db"] for mark in marks),
        },
        "ssim": {
            "min": min(mark["ssim"] for mark in marks),
            "mean": fmean(mark["ssim"] for mark in marks),
        },
        "embed_seconds_median": median(mark["embed_seconds"] for mark in marks),
    }


def _standard(records: Sequence[Record]) -> list[Record]:
    unseen = {condition.name for condition in CONDITIONS if condition.group == UNSEEN}
    return [record for record in records if record["condition"] not in unseen]


def _by(records: Sequence[Record], field: Callable[[Record], str]) -> dict[str, list[Record]]:
    found: dict[str, list[Record]] = defaultdict(list)
    for record in records:
        found[field(record)].append(record)
    return dict(sorted(found.items()))


def _method(records: Sequence[Record]) -> dict[str, Any]:
    reads = [record for record in records if record["kind"] == "read"]
    marks = [record for record in records if record["kind"] == "mark"]
    refused = [record for record in records if record["kind"] == "refused"]
    result: dict[str, Any] = {
        "refused": {record["image"]: record["reason"] for record in refused},
        "wrong_payloads": sum(record["wrong"] for record in reads),
    }
    if not marks or not reads:
        return result
    standard = _standard(reads)
    distorted = [record for record in standard if record["condition"] != "none"]
    return {
        **result,
        "quality": _quality(marks),
        "extract_seconds_median": median(record["extract_seconds"] for record in reads),
        "mean_of_conditions": _rates(standard) if standard else None,
        "mean_under_attack": _rates(distorted) if distorted else None,
        "presence_auc": _presence(reads),
        "conditions": _condition_rows(reads),
    }


def _product_detail(records: Sequence[Record]) -> dict[str, Any]:
    """Return the product's quality and mean rates by modality and folder."""
    return {
        name: _method(here) | {"conditions": {}}
        for name, here in _by(records, lambda r: f"{r['modality']} ({r['folder']})").items()
    }


def _winners(methods: Mapping[str, Any]) -> dict[str, Any]:
    """Return for each condition the methods that read more than the product."""
    rows = {}
    product = methods.get(_PRODUCT, {}).get("conditions", {})
    for condition, row in product.items():
        ahead = {
            name: other["conditions"][condition]["exact_rate"]["estimate"]
            for name, other in methods.items()
            if name != _PRODUCT
            and condition in other.get("conditions", {})
            and other["conditions"][condition]["exact_rate"]["estimate"]
            > row["exact_rate"]["estimate"]
        }
        if ahead:
            rows[condition] = {_PRODUCT: row["exact_rate"]["estimate"], **ahead}
    return rows


def _asked(methods: Mapping[str, Any]) -> dict[str, Any]:
    """Return which conditions the product reads less of than was asked."""
    rows = methods.get(_PRODUCT, {}).get("conditions", {})
    asked = {name: row for name, row in rows.items() if row["asked"] is not None}
    missed = {
        name: {"asked": row["asked"], "measured": row["exact_rate"]["estimate"]}
        for name, row in asked.items()
        if row["exact_rate"]["estimate"] < row["asked"]
    }
    return {"conditions": len(asked), "missed_count": len(missed), "missed": missed}


def _paired(records: Sequence[Record]) -> dict[str, Any]:
    """Return the product beside each other method on the images and conditions of both."""
    reads = _standard([record for record in records if record["kind"] == "read"])
    own = {(r["image"], r["condition"]): r for r in reads if r["method"] == _PRODUCT}
    rows = {}
    for name, others in _by(reads, lambda r: r["method"]).items():
        pairs = [
            (own[place], other)
            for other in others
            if (place := (other["image"], other["condition"])) in own
        ]
        if name == _PRODUCT or not pairs:
            continue
        ahead: dict[str, list[float]] = defaultdict(list)
        for mine, other in pairs:
            ahead[mine["image"]].append(float(mine["exact"]) - float(other["exact"]))
        rows[name] = {
            "images": len(ahead),
            "exact_rate_of_medseal": fmean(mine["exact"] for mine, _ in pairs),
            "exact_rate": fmean(other["exact"] for _, other in pairs),
            "medseal_ahead_by": _mean_interval(ahead),
        }
    return rows


def _paper(methods: Mapping[str, Any]) -> dict[str, Any]:
    measured = {
        name: {
            "ssim": row["quality"]["ssim"]["mean"],
            "extraction": row["conditions"]["none"]["exact_rate"]["estimate"],
            "extraction_under_attack": row["mean_under_attack"]["exact_rate"]["estimate"],
            "bits_under_attack": row["mean_under_attack"]["bit_accuracy"],
        }
        for name, row in methods.items()
        if row.get("mean_under_attack") and "none" in row["conditions"]
    }
    return {"claimed": {name: dict(row) for name, row in PAPER.items()}, "measured": measured}


def tables(records: Sequence[Record]) -> dict[str, Any]:
    """Return all tables of the records: large images first, small ones apart."""
    result: dict[str, Any] = {}
    for size, is_large in (("large", True), ("small", False)):
        here = [record for record in records if record["is_large"] == is_large]
        if not here:
            continue
        methods = {name: _method(rows) for name, rows in _by(here, lambda r: r["method"]).items()}
        product = [record for record in here if record["method"] == _PRODUCT]
        result[size] = {
            "methods": methods,
            "medseal_by_modality": _product_detail(product),
            "asked": _asked(methods),
            "paired_with_medseal": _paired(here),
            "another_method_reads_more": _winners(methods),
            "paper": _paper(methods),
        }
    return result


def false_positive_row(accepted: int, trials: int, stated_bound: float) -> dict[str, Any]:
    """Return a count with the upper end of its interval and the bound that is derived."""
    return {
        "trials": trials,
        "accepted": accepted,
        "upper_95": wilson_interval(accepted, trials)[1],
        "derived_bound_an_image": stated_bound,
    }


def _percent(value: Mapping[str, float]) -> str:
    return f"{value['estimate']:.1%} [{value['low']:.1%}, {value['high']:.1%}]"


def _size_lines(size: str, table: Mapping[str, Any]) -> Iterator[str]:
    shown = {name: row for name, row in table["methods"].items() if row.get("conditions")}
    if not shown:
        return
    yield f"### {size.capitalize()} images: quality and means\n"
    yield (
        "| method | images | PSNR dB, min / mean | SSIM, min / mean | exact, standard conditions |"
        " bits | presence AUC |\n|---|---|---|---|---|---|---|"
    )
    order = sorted(
        shown, key=lambda name: -shown[name]["mean_of_conditions"]["exact_rate"]["estimate"]
    )
    for name in order:
        row = shown[name]
        ratio, similar = row["quality"]["psnr_db"], row["quality"]["ssim"]
        area = row["presence_auc"]
        yield (
            f"| {name} | {row['quality']['images']} | {ratio['min']:.2f} / {ratio['mean']:.2f} | "
            f"{similar['min']:.4f} / {similar['mean']:.4f} | "
            f"{_percent(row['mean_of_conditions']['exact_rate'])} | "
            f"{row['mean_of_conditions']['bit_accuracy']:.1%} | "
            f"{'none' if area is None else format(area, '.4f')} |"
        )
    yield ""
    yield f"### {size.capitalize()} images: exact messages by condition\n"
    yield f"[As a picture](../benchmarks/results/plots/watermark_{size}.png)\n"
    yield f"| condition | asked | {' | '.join(order)} |\n|{'---|' * (2 + len(order))}"
    for condition in CONDITIONS:
        rates = [shown[name]["conditions"].get(condition.name) for name in order]
        if not any(rates):
            continue
        known = [rate["exact_rate"]["estimate"] for rate in rates if rate]
        cells = []
        for rate in rates:
            value = rate["exact_rate"]["estimate"] if rate else None
            text = "" if value is None else f"{value:.1%}"
            cells.append(f"**{text}**" if value == max(known) and value > 0 else text)
        asked = "" if condition.least_exact_rate is None else f"{condition.least_exact_rate:.1%}"
        yield f"| {condition.name} | {asked} | {' | '.join(cells)} |"
    yield ""


def page_lines(result: Mapping[str, Any]) -> list[str]:
    """Return the lines of this result in docs/results.md; the best of each row is bold."""
    lines: list[str] = []
    for size in ("large", "small"):
        if size in result.get("robustness", {}):
            lines += _size_lines(size, result["robustness"][size])
    return lines
