"""The report of a demo: one HTML page without network, every figure in it from the run."""

import platform
from collections import Counter
from dataclasses import dataclass
from importlib import resources
from importlib.metadata import PackageNotFoundError, version
from statistics import median
from typing import Any

from jinja2 import Environment, StrictUndefined
from PIL import Image

from medseal import __version__
from medseal.imaging import MedicalImage, read
from medseal.pipeline.demo_record import Attacked, Classified, Released, Run
from medseal.pipeline.pictures import SIDE, Picture, difference, shown, strip, with_regions

__all__ = ["render", "summary_strip"]

_TITLES = {
    "gather": "Gathered",
    "seal": "Sealed",
    "release": "Released",
    "attack": "Attacked",
    "verify": "Verified",
    "access": "Access",
    "classify": "Classified",
    "prove": "Proved",
}
_VERBS = {
    "seal": "seal an image (mean of the batch)",
    "release": "release: de-identify, watermark, write",
    "verify": "verify a copy",
    "open": "open an original and compare it",
    "classify": "classify a slice (with heat map where shown)",
    "receipt": "verify a receipt offline",
}
_DISTRIBUTIONS = ("numpy", "pydicom", "cryptography", "SQLAlchemy", "torch")
_NAMED = {"right": "yes", "wrong": "another release", "none": "-"}
# Pixels of a picture in a grid.
_SMALL = 208
# How the labels of the model are said to people.
_UNDERSCORE = str.maketrans("_", " ")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Row:
    """One release in pictures."""

    name: str
    caption: str
    pictures: tuple[Picture, ...]


def render(run: Run) -> str:
    """Return the page of a run.

    Parameters
    ----------
    run
        With all steps but the report done. Its files are read for the pictures.

    Raises
    ------
    InputError
        A picture cannot be read again.
    """
    template = resources.files("medseal.pipeline").joinpath("report.html").read_text("utf-8")
    # Everything is escaped: names of files and messages come from outside.
    environment = Environment(autoescape=True, undefined=StrictUndefined)
    return environment.from_string(template).render(
        run=run,
        made=run.started.isoformat(sep=" ", timespec="seconds").removesuffix("+00:00"),
        seconds=sum(seconds for _, _, seconds in run.steps),
        held=sum(item.held for item in run.expectations),
        failed=[item for item in run.expectations if not item.held],
        lines=[(_TITLES[name], detail) for name, detail, _ in run.steps],
        rows=[_row(run, item) for item in run.copies],
        refused=[item for item in run.released if item.outcome is None],
        tags=[_tags(item) for item in run.copies if item.sealed.source.kind == "dicom"],
        attacked=_groups(run),
        maps=[_map(item) for item in run.classified if item.overlay is not None],
        classified=[_classified(item) for item in run.classified],
        known=_known(run),
        timings=_timings(run),
        versions=_versions(),
    )


# --- Pictures ---------------------------------------------------------------------------------


def _original(item: Released) -> MedicalImage:
    return read(item.sealed.source.file)


def _tampered(run: Run, item: Released) -> Attacked | None:
    """Return the first located forgery of a release."""
    found = (one for one in run.attacked if one.released is item and one.covered)
    return next(found, None)


def _row(run: Run, item: Released) -> _Row:
    """Return a release in pictures: original, release, difference, a forgery found."""
    original, copy = _original(item), read(item.file)
    changed, factor = difference(original, copy)
    pictures = [
        Picture(image=shown(original), caption="original", alternative=f"original of {item.name}"),
        Picture(
            image=shown(copy),
            caption="release, watermarked",
            alternative=f"released copy of {item.name}",
        ),
        Picture(
            image=changed,
            caption=f"difference x {factor}; mid grey is none",
            alternative=f"difference of original and release, {factor} times enlarged",
        ),
    ]
    forgery = _tampered(run, item)
    if forgery is not None:
        pictures.append(_found(forgery, caption=f"{forgery.name}: found"))
    outcome = item.outcome
    numbers = f"PSNR {outcome.psnr_db:.1f} dB, SSIM {outcome.ssim:.4f}" if outcome else ""
    return _Row(
        name=item.name,
        caption=f"{item.sealed.description}; {numbers}",
        pictures=tuple(pictures),
    )


def _found(item: Attacked, *, caption: str, side: int = SIDE) -> Picture:
    count = len(item.report.regions)
    return Picture(
        image=with_regions(read(item.file), item.report.regions, mask=item.report.mask, side=side),
        caption=caption,
        alternative=f"{item.name}, {count} found {'region' if count == 1 else 'regions'} framed",
    )


def _overlay(item: Classified) -> Image.Image:
    if item.overlay is None:
        raise ValueError("there is no heat map")
    return shown(read(item.overlay), side=_SMALL)


def _map(item: Classified) -> dict[str, Any]:
    share = item.probabilities[item.label]
    said = item.label.translate(_UNDERSCORE)
    return {
        "picture": Picture(
            image=_overlay(item),
            caption=f"{said} {share:.2f}",
            alternative=f"heat map over {item.sealed.source.name}",
        ),
        "name": item.sealed.source.name,
        "label": _label(item),
        "abstained": item.abstained,
    }


def summary_strip(run: Run) -> bytes:
    """Return a PNG: original, release, difference, a forgery found, a heat map.

    Parameters
    ----------
    run
        With all steps but the report done; what it lacks is left out of the strip.
    """
    panels: list[Picture] = []
    item = next((one for one in run.copies if _tampered(run, one) is not None), None)
    if item is not None:
        row = _row(run, item)
        forgery = _tampered(run, item)
        captions = [
            f"original\n{item.sealed.description.split(',')[0]}",
            f"release\nPSNR {item.outcome.psnr_db:.1f} dB" if item.outcome else "release",
            row.pictures[2].caption.replace("; ", "\n"),
            f"{forgery.name}\n{forgery.report.verdict}, framed" if forgery else "",
        ]
        panels += [
            Picture(image=picture.image, caption=caption, alternative=picture.alternative)
            for picture, caption in zip(row.pictures, captions, strict=True)
        ]
    explained = next((one for one in run.classified if one.overlay is not None), None)
    if explained is not None:
        picture = _map(explained)["picture"]
        unsure = ", abstained" if explained.abstained else ""
        panels.append(
            Picture(
                image=picture.image,
                caption=f"Grad-CAM\n{picture.caption}{unsure}",
                alternative=picture.alternative,
            )
        )
    return strip(panels)


# --- Tables -----------------------------------------------------------------------------------


def _tags(item: Released) -> dict[str, Any]:
    """Return what de-identification did, by action; keywords, never a value."""
    if item.outcome is None:
        raise ValueError("there is no copy")
    report = item.outcome.deidentification
    actions = Counter[str]()
    for entry in report.entries:
        actions[entry.action] += entry.count
    keywords = sorted({entry.keyword for entry in report.entries if entry.action == "removed"})
    return {
        "name": item.name,
        "actions": ", ".join(f"{action} {count}" for action, count in sorted(actions.items())),
        "private": report.removed_private,
        "searched": report.searched,
        "remaining": len(report.remaining),
        "keywords": ", ".join(keywords) or "-",
    }


def _groups(run: Run) -> list[tuple[str, list[dict[str, Any]]]]:
    """Return the attacked copies by release; releases with one copy stand together at the end."""
    counts = Counter(id(item.released) for item in run.attacked if item.released is not None)
    groups: dict[str, list[dict[str, Any]]] = {}
    rest: list[dict[str, Any]] = []
    for item in run.attacked:
        if item.released is not None and counts[id(item.released)] > 1:
            groups.setdefault(item.released.name, []).append(_attacked(item, is_alone=False))
        else:
            rest.append(_attacked(item, is_alone=True))
    return [*groups.items(), *([("other copies", rest)] if rest else [])]


def _attacked(item: Attacked, *, is_alone: bool) -> dict[str, Any]:
    image = read(item.file)
    area = sum(region.height * region.width for region in item.report.regions)
    verdict = str(item.report.verdict)
    return {
        "picture": _found(item, caption=item.name, side=_SMALL),
        "name": item.name,
        "detail": item.detail,
        "of": item.released.name if is_alone and item.released is not None else "",
        "expected": " or ".join(item.expected),
        "verdict": verdict,
        "operations": ", ".join(item.report.operations) or "-",
        "named": _NAMED[item.named],
        "means": next(
            (
                check.detail.rpartition("found by ")[2]
                for check in item.report.checks
                if check.name == "ledger"
            ),
            "-",
        ),
        "regions": len(item.report.regions),
        "share": f"{100 * area / (image.rows * image.columns):.1f} %" if area else "-",
        "covered": {True: "yes", False: "missed", None: "-"}[item.covered],
        "held": item.held,
    }


def _label(item: Classified) -> str:
    label = item.sealed.source.label
    return label.translate(_UNDERSCORE) if label is not None else "-"


def _classified(item: Classified) -> dict[str, Any]:
    return {
        "name": item.sealed.source.name,
        "label": _label(item),
        "said": item.label.translate(_UNDERSCORE),
        "probabilities": ", ".join(
            f"{name.translate(_UNDERSCORE)} {share:.3f}"
            for name, share in item.probabilities.items()
        ),
        "abstained": "yes" if item.abstained else "no",
    }


def _known(run: Run) -> str | None:
    """Return how often the model agrees with a known label, None without labels."""
    known = [item for item in run.classified if item.sealed.source.label is not None]
    if not known:
        return None
    decided = [item for item in known if not item.abstained]
    equal = sum(item.label == item.sealed.source.label for item in decided)
    return f"{equal} of {len(decided)} slices that it decided, of {len(known)} with a known label"


def _timings(run: Run) -> list[dict[str, Any]]:
    return [
        {
            "what": words,
            "count": len(run.timings[verb]),
            "median": f"{1000 * median(run.timings[verb]):.1f}",
            "largest": f"{1000 * max(run.timings[verb]):.1f}",
        }
        for verb, words in _VERBS.items()
        if run.timings[verb]
    ]


def _versions() -> list[tuple[str, str]]:
    rows = [
        ("medseal", __version__),
        ("Python", platform.python_version()),
        ("system", f"{platform.system()} {platform.machine()}"),
    ]
    for name in _DISTRIBUTIONS:
        try:
            rows.append((name, version(name)))
        except PackageNotFoundError:
            rows.append((name, "not installed"))
    return rows
