"""`medseal verify`: say what a copy is."""

from collections.abc import Sequence
from pathlib import Path

import click

from medseal.cli.options import FILE, Common, argument_file, common, emit, option, say
from medseal.pipeline.verify import Verdict, VerifyReport, verify
from medseal.pipeline.workspace import Workspace
from medseal.protection.tamper import FrameReport, Region


@click.command(name="verify")
@argument_file("file")
@option("--receipt", "receipt_file", type=FILE, help="Receipt of the seal or the release.")
@option("--log-key", "log_key_file", type=FILE, help="Public key of the log of the receipt.")
@common
def command(
    options: Common, file: Path, receipt_file: Path | None, log_key_file: Path | None
) -> int:
    """Compare FILE with its record and say what it is.

    With --receipt and --log-key no workspace and no passphrase are needed. Exit code 0 for
    authentic, transcoded and processed, 1 for tampered, 3 for unverifiable.
    """
    if log_key_file is not None and receipt_file is not None:
        report = verify(file, workspace=None, receipt_file=receipt_file, log_key_file=log_key_file)
    else:
        with Workspace.open(
            options.workspace, options.passphrase(), node=options.node
        ) as workspace:
            report = verify(
                file,
                workspace=workspace,
                receipt_file=receipt_file,
                log_key_file=log_key_file,
            )
    emit(options, _as_json(report), _as_text(file, report))
    if report.verdict is Verdict.AUTHENTIC and any(
        check.name == "metadata" and check.outcome == "fail" for check in report.checks
    ):
        # The verdict speaks of stored values; whoever reads only its word must hear this too.
        say(f"{file}: every stored value is equal, but data elements differ; do not rely on them")
    return report.verdict.exit_code


def regions_as_json(regions: Sequence[Region]) -> list[dict[str, object]]:
    """Return changed rectangles in the form of the command line's JSON."""
    return [
        {
            "row": region.row,
            "column": region.column,
            "height": region.height,
            "width": region.width,
            "score": round(region.score, 4),
            "evidence": region.evidence,
            **({} if region.frame is None else {"frame": region.frame}),
        }
        for region in regions
    ]


def frames_as_json(frames: Sequence[FrameReport]) -> list[dict[str, object]]:
    """Return the frames that are not equal to their originals, in the form of the JSON."""
    return [
        {"frame": item.frame, "original": item.original, "outcome": item.outcome}
        for item in frames
        if item.outcome != "authentic" or item.original != item.frame
    ]


def regions_as_text(regions: Sequence[Region]) -> list[str]:
    """Return one line for each changed rectangle."""
    return [
        f"  changed: {region.height} x {region.width} at row {region.row}, column {region.column}"
        + ("" if region.frame is None else f" of frame {region.frame}")
        + (f", by {region.evidence} ({region.score:.2f})" if region.evidence else "")
        for region in regions
    ]


def _as_json(report: VerifyReport) -> dict[str, object]:
    return {
        "verdict": str(report.verdict),
        "score": round(report.score, 4),
        "checks": [
            {"name": item.name, "outcome": item.outcome, "detail": item.detail}
            for item in report.checks
        ],
        "operations": list(report.operations),
        "regions": regions_as_json(report.regions),
        "frames": frames_as_json(report.frames),
        "image_id": report.image_id,
        "release_id": report.release_id,
        "receipt": str(report.receipt) if report.receipt else None,
    }


def _as_text(file: Path, report: VerifyReport) -> str:
    lines = [f"{file}: {report.verdict.upper()}"]
    if report.release_id is not None:
        lines.append(f"  release {report.release_id} of image {report.image_id}")
    elif report.image_id is not None:
        lines.append(f"  image {report.image_id}")
    lines += [f"  {item.outcome:8} {item.name}: {item.detail}" for item in report.checks]
    lines += [f"  operation: {operation}" for operation in report.operations]
    lines += regions_as_text(report.regions)
    return "\n".join(lines)
