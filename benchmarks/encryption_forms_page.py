"""Exactness of the integer form, and what the analog and digital forms endure, as page lines."""

from collections.abc import Iterator, Mapping
from typing import Any

from benchmarks import markdown as md

__all__ = ["forms_glance", "forms_lines"]

_UNIT = "unet"
# Mean decibels over unseen patients that the analog form is asked for.
_ASKED = {
    "none": 50.0,
    "JPEG 90": 43.0,
    "JPEG 80": 40.0,
    "JPEG 70": 37.5,
    "JPEG 50": 33.0,
    "Gaussian 1 %": 42.0,
    "salt and pepper 1 %": 40.0,
    "crop 25 %, black": 37.0,
}
_LEAST_SIMILARITY = ("JPEG 70", 0.95)
_LEAST_DRAWS = 10_000
_DECODE_MS = 100.0
_INTEGER_MS = {"512x512": 60.0, "2048x2048": 1200.0}


def _cell(found: Mapping[str, Any] | None) -> str:
    if found is None:
        return ""
    return f"{found['psnr_db']:.1f} / {found['least_psnr_db']:.1f} ({found['images']})"


def _analog_lines(found: Mapping[str, Any]) -> Iterator[str]:
    channels = found["clinical"]
    decoders = list(dict.fromkeys(name for row in channels.values() for name in row))
    yield "### Analog form: mean and worst image, dB (images), clinical images of unseen patients\n"
    yield (
        "Exact counts as 100 dB. The networks restore the same cipher image as `linear`, the best "
        "estimate without one; the other columns are rivals. AES-CTR and JPEG under AES-GCM are "
        "what a user would take instead.\n"
    )
    yield from md.head(("channel", "asked, mean", *decoders))
    for channel, row in channels.items():
        yield md.row(
            (channel, _ASKED.get(channel, ""), *(_cell(row.get(name)) for name in decoders))
        )
    yield ""


def _digital_lines(found: Mapping[str, Any]) -> Iterator[str]:
    qualities = found["qualities"]
    yield "### Digital form: share of held-out images that come back exact; others are refused\n"
    yield from md.head(("damage", *(f"for JPEG {quality}" for quality in qualities)))
    for damage in next(iter(qualities.values()))["damages"]:
        shares = (one["damages"][damage]["exact_share"] for one in qualities.values())
        yield md.row((damage, *(f"{share:.1%}" for share in shares)))
    yield ""
    yield "### Digital form: pixels of the cipher image for each value of the plain one\n"
    yield from md.head(
        ("kind", "images", *(f"for JPEG {quality}: median, largest" for quality in qualities))
    )
    kinds = next(iter(qualities.values()))["kinds"]
    for kind, one in kinds.items():
        factors = (quality["kinds"][kind]["factor_by_value"] for quality in qualities.values())
        cells = (f"{factor['median']:.2f}, {factor['largest']:.2f}" for factor in factors)
        yield md.row((kind, one["images"], *cells))
    yield ""


def _exactness_lines(found: Mapping[str, Any]) -> Iterator[str]:
    yield "### Integer form: round trips and equal cipher images over networks and backends\n"
    yield (
        f"{found['draws']:,} draws of image and key ({found['real_images']:,} of real images), "
        f"{found['round_trips']:,} round trips, {found['exact']:,} exact.\n"
    )


def _times_lines(found: Mapping[str, Any]) -> Iterator[str]:
    yield "### Integer form: least milliseconds for 16 bits, key set-up and tags included\n"
    yield from md.head(("size, network", "encrypt", "decrypt"))
    for name, row in found.items():
        yield md.row((name, f"{row['encrypt_ms']:.0f}", f"{row['decrypt_ms']:.0f}"))
    yield ""


def forms_lines(result: Mapping[str, Any]) -> list[str]:
    """Return the tables of the forms that were measured."""
    lines: list[str] = []
    for name, lines_of in (
        ("exactness", _exactness_lines),
        ("times", _times_lines),
        ("analog", _analog_lines),
        ("channel", _digital_lines),
    ):
        if name in result:
            lines += lines_of(result[name])
    return lines


def _analog_glance(found: Mapping[str, Any]) -> Iterator[str]:
    for channel, asked in _ASKED.items():
        one = found["clinical"][channel][_UNIT]
        value = f"{one['psnr_db']:.1f} dB, worst image {one['least_psnr_db']:.1f}"
        verdict = md.MET[one["psnr_db"] >= asked]
        yield md.row(
            (f"analog cipher image after {channel}, mean", f"at least {asked:g} dB", value, verdict)
        )
    channel, least = _LEAST_SIMILARITY
    similarity = found["clinical"][channel][_UNIT]["ssim"]
    yield md.row(
        (
            f"analog cipher image after {channel}, similarity",
            f"at least {least:g}",
            f"{similarity:.3f}",
            md.MET[similarity >= least],
        )
    )


def _digital_glance(found: Mapping[str, Any]) -> Iterator[str]:
    for quality, one in found["qualities"].items():
        share = one["damages"][f"JPEG {quality}"]["exact_share"]
        factor = one["factor_by_value"]
        yield md.row(
            (
                f"digital cipher image for JPEG {quality}: exact there",
                "all",
                f"{share:.1%}; values x {factor['median']:.2f}, at most {factor['largest']:.2f}",
                md.MET[share == 1],
            )
        )
    decode = found["times"]["decode_ms"]
    yield md.row(
        (
            "digital cipher image 512 x 512: decode",
            f"at most {_DECODE_MS:g} ms",
            f"{decode:.0f} ms",
            md.MET[decode <= _DECODE_MS],
        )
    )


def _times_glance(found: Mapping[str, Any]) -> Iterator[str]:
    for size, most in _INTEGER_MS.items():
        rows = [row for name, row in found.items() if name.startswith(size)]
        slowest = max(max(row["encrypt_ms"], row["decrypt_ms"]) for row in rows)
        yield md.row(
            (
                f"integer cipher image {size} of 16 bits, slowest network and way",
                f"at most {most:g} ms",
                f"{slowest:.0f} ms",
                md.MET[slowest <= most],
            )
        )


def forms_glance(result: Mapping[str, Any]) -> Iterator[str]:
    """Yield the rows of the summary for the forms that were measured."""
    if "exactness" in result:
        found = result["exactness"]
        is_met = found["exact"] == found["round_trips"] and found["draws"] >= _LEAST_DRAWS
        value = f"{found['exact']:,} of {found['round_trips']:,}"
        yield md.row(("integer cipher image: exact round trips", "all", value, md.MET[is_met]))
    if "times" in result:
        yield from _times_glance(result["times"])
    if "analog" in result:
        yield from _analog_glance(result["analog"])
    if "channel" in result:
        yield from _digital_glance(result["channel"])
