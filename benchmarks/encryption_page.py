"""The result of the encryption benchmark as lines of docs/results.md."""

from collections.abc import Iterator, Mapping
from typing import Any

from benchmarks import markdown as md
from benchmarks.encryption_forms_page import forms_glance, forms_lines

__all__ = ["TABLES", "glance_lines", "page_lines"]

_PLOTS = "../benchmarks/results/plots"
# Parts that have tables of their own here; the page does not list them value by value.
TABLES = frozenset(
    {
        "suite",
        "rounds",
        "critical_values",
        "costs",
        "learned",
        "integrity",
        "exactness",
        "analog",
        "channel",
        "times",
    }
)


def _power(value: float) -> str:
    return "0" if value == 0 else f"{value:.1g}"


def _verdict_lines(verdicts: Mapping[str, Any]) -> Iterator[str]:
    yield "### Verdicts of the attack suite\n"
    yield (
        f"{verdicts['tests']:,} tests; broken below p = {verdicts['alpha']:g}. The verdict is "
        "never `secure`: what no attack of ours finds, another may.\n"
    )
    yield from md.head(("cipher", "known as", "verdict", "broken by", "tests", "least p"))
    for name, own in verdicts["ciphers"].items():
        cells = (
            name,
            own["kind"],
            own["verdict"],
            ", ".join(own["broken_by"]),
            own["tests"],
            _power(own["least_p_value"]),
        )
        yield md.row(cells)
    yield ""
    yield f"[Least p-value of each attack]({_PLOTS}/encryption_attacks.png)\n"


def _best(found: Mapping[str, Any] | None, key: str) -> str:
    if not found:
        return ""
    return f"{max(row[key] for row in found.values()):.3f}"


def _gain(found: Mapping[str, Any] | None) -> str:
    if not found:
        return ""
    best = max(found.values(), key=lambda row: row["gain_db"])
    return f"{best['psnr_db']:.1f} ({best['gain_db']:+.1f})"


def _wrong_key(found: Mapping[str, Any] | None) -> str:
    if not found:
        return ""
    if "psnr_db" not in found:
        return f"refused {found['refused']} of {found['trials']}"
    return f"{found['psnr_db']:.1f} ({found['gain_db']:+.1f})"


def _misuse(found: Mapping[str, Any] | None) -> str:
    if not found:
        return ""
    if not found["possible"]:
        return "not possible"
    share = max(found["xor"]["exact_share"], found["difference"]["exact_share"])
    return f"{share:.0%}"


def _attack_lines(attacks: Mapping[str, Any]) -> Iterator[str]:
    yield "### What the attackers reached\n"
    yield (
        "Distinguisher: accuracy on cipher images it was not trained on, the best of all questions "
        "and classifiers; chance is .5. Known plaintexts and wrong key: PSNR of what is restored, "
        "in brackets against the mean image. Recognised: share of cipher images under unknown keys "
        "matched with their image in a gallery. Nonce repeated: values of other images that one "
        "known image opens; that counts for the verdict where the cipher is used so.\n"
    )
    yield from md.head(
        (
            "cipher",
            "distinguisher",
            "known plaintexts, dB",
            "recognised",
            "one key bit wrong, dB",
            "nonce repeated",
            "size follows content",
        )
    )
    for name, found in attacks.items():
        size = found.get("size")
        cells = (
            name,
            _best(found.get("distinguisher"), "accuracy"),
            _gain(found.get("known plaintext")),
            _best(found.get("recognition"), "found"),
            _wrong_key(found.get("key avalanche")),
            _misuse(found.get("nonce misuse")),
            ""
            if size is None
            else f"{size['bytes_a_value']:.2f} B a value, r = {size['correlation']:.2f}",
        )
        yield md.row(cells)
    yield ""


def _accepted(found: Mapping[str, Any] | None) -> str:
    tests = [row for row in (found or {}).values() if "accept" in row]
    if not tests:
        return ""
    return f"{sum(row['accept']['is_accepted'] for row in tests)} of {len(tests)}"


def _statistics_lines(attacks: Mapping[str, Any]) -> Iterator[str]:
    yield "### Statistics beside an AES-CTR control\n"
    yield (
        "Accepted: the p-values over all draws are uniform (Kolmogorov-Smirnov above .001) and as "
        "many pass at .01 as of AES-CTR, within 2 %. The tests of SP 800-22 are only roughly "
        "uniform themselves, so the verdict compares them with the control. NPCR is of one "
        "changed value under the same key and the same nonce; a cipher that XORs a key stream "
        "changes that one value alone, and that is no fault of it.\n"
    )
    yield from md.head(("cipher", "statistics accepted", "NPCR, %", "diffusion accepted"))
    for name, found in attacks.items():
        spread = found.get("diffusion")
        percent = "" if not spread else f"{spread['npcr_percent']['mean']:.3f}"
        yield md.row((name, _accepted(found.get("statistics")), percent, _accepted(spread)))
    yield ""


def _damage_cell(found: Mapping[str, Any]) -> str:
    if found["refused"] == found["images"]:
        return "refused"
    exact = found.get("exact_share", 0.0)
    text = "exact" if exact == 1 else f"{found['psnr_db']:.1f}"
    return f"{text}, {found['refused']} refused" if found["refused"] else text


def _damage_lines(attacks: Mapping[str, Any]) -> Iterator[str]:
    rows = {name: found["damage"] for name, found in attacks.items() if "damage" in found}
    if not rows:
        return
    yield "### After damage to the cipher image, dB\n"
    channels = list(next(iter(rows.values())))
    yield from md.head(("cipher", *channels))
    for name, found in rows.items():
        yield md.row((name, *(_damage_cell(found[channel]) for channel in channels)))
    yield ""


def _cost_lines(costs: Mapping[str, Any]) -> Iterator[str]:
    yield "### Milliseconds for 512 x 512 x 8 bits, and times AES-GCM in the same run\n"
    yield from md.head(("cipher", "encrypt", "decrypt", "times AES-GCM", "values sent"))
    for name, row in costs.items():
        ratio = f"{row['encrypt_times_aes_gcm']:,.0f} / {row['decrypt_times_aes_gcm']:,.0f}"
        yield md.row(
            (
                name,
                f"{row['encrypt_ms']:.3g}",
                f"{row['decrypt_ms']:.3g}",
                ratio,
                f"x {row['values']:.2f}",
            )
        )
    yield ""


def _paper_lines(result: Mapping[str, Any]) -> Iterator[str]:
    learned = result["learned"]
    claimed = learned["claimed"]
    gcm = result.get("suite", {}).get("attacks", {}).get("AES-GCM", {}).get("damage", {})
    control = result.get("suite", {}).get("attacks", {}).get("AES-CTR", {}).get("damage", {})
    yield "### The paper's rows\n"
    yield from md.head(("figure", "the paper says", "measured here"))
    yield md.row(
        (
            "CNN cipher, weights as key: PSNR after decryption, dB",
            claimed["psnr_db"],
            f"{learned['psnr_db']['mean']:.1f}, worst image {learned['psnr_db']['least']:.1f}",
        )
    )
    yield md.row(
        (
            "CNN cipher, weights as key: SSIM",
            claimed["ssim"],
            f"{learned['ssim']['mean']:.3f}, worst image {learned['ssim']['least']:.3f}",
        )
    )
    seconds = learned["decrypt_seconds_512x512"]
    yield md.row(("CNN cipher: decryption, s", claimed["decrypt_seconds"], f"{seconds:.3f}"))
    hours = learned["training_seconds"] / 3600
    yield md.row(("CNN cipher: training of one key, h", claimed["training_hours"], f"{hours:.3f}"))
    if gcm:
        exact = gcm["none"].get("exact_share", 0.0)
        yield md.row(("AES: PSNR on a clean channel, dB", "below 30", f"exact in {exact:.0%}"))
        damaged = control["JPEG 70"].get("psnr_db", float("nan"))
        text = f"AES-CTR {damaged:.1f}; AES-GCM refuses {gcm['JPEG 70']['refused']} of "
        yield md.row(
            (
                "AES: PSNR after JPEG 70 of the ciphertext, dB",
                "",
                f"{text}{gcm['JPEG 70']['images']}",
            )
        )
    yield ""
    yield (
        "AES does not degrade an image. Below 30 dB comes only what was damaged on the way, and "
        "there a refusal is the right answer for a medical image.\n"
    )


def _rounds_lines(rounds: Mapping[str, Any]) -> Iterator[str]:
    yield "### Rounds of the integer form: NPCR in percent, accepted or not\n"
    numbers = list(next(iter(rounds.values())))
    yield from md.head(("backbone, depth", *numbers))
    for name, found in rounds.items():
        cells = (
            f"{row['npcr_percent']:.2f}{'' if row['accepted'] else ' no'}" for row in found.values()
        )
        yield md.row((name, *cells))
    yield ""


def _critical_lines(table: Mapping[str, Any]) -> Iterator[str]:
    yield "### Critical values by size, and how often a perfect cipher has NPCR of 99.6 % or more\n"
    yield from md.head(("bytes", "NPCR .05 / .001", "UACI .05", "perfect cipher meets 99.6"))
    for name, row in table.items():
        npcr = f"{row['npcr_critical_05']:.4f} / {row['npcr_critical_001']:.4f}"
        uaci = f"{row['uaci_low_05']:.4f} to {row['uaci_high_05']:.4f}"
        yield md.row((name, npcr, uaci, f"{row['perfect_cipher_meets_fixed_npcr']:.1%}"))
    yield ""


def _integrity_lines(found: Mapping[str, Any]) -> Iterator[str]:
    yield "### Changed packages and cipher images\n"
    yield from md.head(("what was changed", "outcomes"))
    for name, counts in found["package"].items():
        yield md.row((name.replace("_", " "), ", ".join(f"{k}: {v:,}" for k, v in counts.items())))
    for name, parts in found["cipher_images"].items():
        for part, counts in parts.items():
            outcomes = ", ".join(f"{k}: {v:,}" for k, v in counts.items())
            yield md.row((f"cipher image, {name}: one bit of the {part}", outcomes))
    yield ""


def glance_lines(result: Mapping[str, Any]) -> Iterator[str]:
    """Yield the rows of the summary: what was asked beside what was measured."""
    verdicts = result.get("suite", {}).get("verdicts")
    if verdicts is not None:
        count = verdicts["not_as_they_must_count"]
        yield md.row(
            ("ciphers judged other than they must be", "at most 0", count, md.MET[not count])
        )
    yield from forms_glance(result)


def page_lines(result: Mapping[str, Any]) -> list[str]:
    """Return the lines of this result in docs/results.md."""
    lines: list[str] = []
    if "claim" in result:
        lines.append(f"**{result['claim']}**\n")
    if "learned" in result:
        lines += _paper_lines(result)
    if "suite" in result:
        attacks = result["suite"]["attacks"]
        lines += _verdict_lines(result["suite"]["verdicts"])
        lines += _attack_lines(attacks)
        lines += _statistics_lines(attacks)
        lines += _damage_lines(attacks)
    for name, lines_of in (
        ("costs", _cost_lines),
        ("rounds", _rounds_lines),
        ("critical_values", _critical_lines),
        ("integrity", _integrity_lines),
    ):
        if name in result:
            lines += lines_of(result[name])
    return lines + forms_lines(result)
