"""What the ledger on a network costs, beside the paper's figures, as lines of the results page."""

from collections.abc import Iterator, Mapping
from typing import Any

from benchmarks import markdown as md

__all__ = ["TABLES", "glance_lines", "page_lines"]

# Parts of the result that have tables here.
TABLES = frozenset({"nodes", "gas", "gas_ceilings", "gas_an_image", "paper"})
# What was asked for; images of the end-to-end row are those that were measured.
_SECONDS_END_TO_END = 60.0
_DECISION_MS = 5.0
_OFFLINE_MS = 2.0
_BATCH, _GAS_AN_IMAGE = "1024", 61.0
_CHEAP_BATCH, _ETH = "16384", 0.0001
_STATES = ("durable", "mined", "final")
# From here on fractions of a millisecond say nothing.
_WHOLE_MS = 100.0
_PERCENTILES = ("p50_ms", "p95_ms", "p99_ms")


def _milliseconds(found: Mapping[str, float]) -> str:
    values = (found[name] for name in _PERCENTILES)
    return " / ".join(f"{value:,.0f}" if value >= _WHOLE_MS else f"{value:.3g}" for value in values)


def _latency_lines(nodes: Mapping[str, Any]) -> Iterator[str]:
    yield "### From the call to durable, mined and final: 50 / 95 / 99 % of the images, ms\n"
    yield (
        "Images come in one by one and are anchored at once. Where blocks have a period, final "
        "is two blocks deeper than mined.\n"
    )
    yield from md.head(("node", "images", *_STATES))
    for name, one in nodes.items():
        latency = one["latency"]
        cells = (_milliseconds(latency[state]) for state in _STATES)
        yield md.row((name.replace("_", " "), latency["images"], *cells))
    yield ""


def _rate_lines(nodes: Mapping[str, Any]) -> Iterator[str]:
    yield "### Images anchored in batches of 1,024, and one transaction an image\n"
    yield from md.head(
        (
            "node",
            "images",
            "anchors",
            "seconds to the last final anchor, least of the runs (all runs)",
            "images a second",
            "one transaction an image: images a second",
            "the same, sent to mined, ms",
        )
    )
    for name, one in nodes.items():
        batches, singles = one["end_to_end"], one["transactions"]
        runs = ", ".join(f"{seconds:.3g}" for seconds in batches["seconds_of_each_run"])
        yield md.row(
            (
                name.replace("_", " "),
                f"{batches['images']:,}",
                batches["anchors"],
                f"{batches['seconds_least']:.3g} ({runs})",
                f"{batches['images_per_second_of_the_least']:,}",
                f"{singles['transactions_per_second']:,.0f}",
                _milliseconds(singles["sent_to_mined"]),
            )
        )
    yield ""


def _gas_lines(result: Mapping[str, Any]) -> Iterator[str]:
    yield "### Gas of each operation\n"
    yield from md.head(("operation", "asked, at most", "gas"))
    ceilings = result["gas_ceilings"]
    for name, gas in result["gas"].items():
        most = f"{ceilings[name]:,}" if name in ceilings else ""
        yield md.row((name, most, f"{gas:,}"))
    for size, gas in result["gas_an_image"].items():
        most = f"{_GAS_AN_IMAGE:g}" if size == _BATCH else ""
        yield md.row((f"an image in a batch of {int(size):,}", most, f"{gas:,}"))
    yield ""


def _paper_lines(paper: Mapping[str, Any]) -> Iterator[str]:
    stated, one = paper["stated"], paper["one_transaction_at_half_second_blocks"]
    yield "### A day of the paper\n"
    yield (
        f"Stated: one transaction an image, {stated['seconds_an_image']:g} s, "
        f"{stated['eth_an_image']:g} ETH, {stated['images_a_day']:,} images a day. Measured at "
        f"half-second blocks: one transaction is mined after {_milliseconds(one['sent_to_mined'])}"
        f" ms (50 / 95 / 99 %) and takes {one['gas']:,} gas, {one['eth_at_1_gwei']:.2g} ETH at "
        f"1 gwei and {one['eth_at_97_gwei']:.2g} ETH at 97 gwei; it would cost what is stated at "
        f"{one['gwei_at_which_it_costs_what_is_stated']:.0f} gwei. On a network of one's own the "
        "price is 0.\n"
    )
    yield from md.head(
        (
            "images a transaction",
            "transactions a day",
            "gas a day",
            "gas an image",
            "ETH a day at 1 gwei",
            "ETH a day at 97 gwei",
        )
    )
    eth = stated["eth_an_image"] * stated["images_a_day"]
    yield md.row(
        ("1, as stated", f"{stated['images_a_day']:,}", "", "", "", f"{eth:,.0f} at its price")
    )
    for size, row in paper["images_a_transaction"].items():
        yield md.row(
            (
                f"{int(size):,}",
                f"{row['transactions_a_day']:,}",
                f"{row['gas_a_day']:,}",
                f"{row['gas_an_image']:,}",
                f"{row['eth_a_day_at_1_gwei']:.3g}",
                f"{row['eth_a_day_at_97_gwei']:.3g}",
            )
        )
    yield ""


def page_lines(result: Mapping[str, Any]) -> list[str]:
    """Return the tables."""
    return [
        *_latency_lines(result["nodes"]),
        *_rate_lines(result["nodes"]),
        *_gas_lines(result),
        *_paper_lines(result["paper"]),
    ]


def _number(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:.4g}"


def _glance(text: str, value: float, most: float) -> str:
    return md.row((text, f"at most {most:,g}", _number(value), md.MET[value <= most]))


def glance_lines(result: Mapping[str, Any]) -> list[str]:
    """Return the rows of what was asked beside what was measured."""
    rows = [
        _glance(f"gas: {name}", result["gas"][name], most)
        for name, most in result["gas_ceilings"].items()
    ]
    rows.append(
        _glance("gas an image, batch of 1,024", result["gas_an_image"][_BATCH], _GAS_AN_IMAGE)
    )
    for name, one in result["nodes"].items():
        run = one["end_to_end"]
        rows.append(
            _glance(
                f"{run['images']:,} images anchored end to end, {name.replace('_', ' ')}, s",
                run["seconds_least"],
                _SECONDS_END_TO_END,
            )
        )
    decisions, proofs = result["decisions"], result["proofs"]
    rows += [
        _glance(
            "access decision, reused, 99 %, ms",
            decisions["ledger_reused_within_a_second"]["p99_ms"],
            _DECISION_MS,
        ),
        _glance(
            "anchored receipt verified offline, 99 %, ms",
            proofs["verify_offline"]["p99_ms"],
            _OFFLINE_MS,
        ),
    ]
    day = result["paper"]["images_a_transaction"][_CHEAP_BATCH]
    anchor_eth = day["eth_a_day_at_1_gwei"] / day["transactions_a_day"]
    rows.append(_glance("16,384 images at 1 gwei, ETH", anchor_eth, _ETH))
    return rows
