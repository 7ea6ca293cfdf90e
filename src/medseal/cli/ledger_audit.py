"""`medseal ledger audit`: the whole log replayed, or the trail of an image, a copy or a person."""

import json
from pathlib import Path

import click

from medseal.cli.options import FILE, Common, common, emit, option, say
from medseal.errors import ConfigurationError
from medseal.imaging.files import write_file
from medseal.pipeline import ledger
from medseal.pipeline.audit_trail import TrailEntry, audit_trail, trail_row, write_proofs
from medseal.pipeline.fhir import audit_bundle
from medseal.pipeline.workspace import Workspace

__all__ = ["COMMANDS"]


@click.command(name="audit")
@click.argument("what", metavar="[IMAGE_ID|RELEASE_ID|NAME]", required=False)
@option("--since", type=FILE, help="Checkpoint or hashes kept elsewhere; the log must continue it.")
@option("--proof", type=FILE, help="With --since: write the consistency proof for a witness.")
@option("--format", "form", type=click.Choice(["text", "fhir"]), default="text", show_default=True)
@option("--output", type=FILE, help="With --format fhir: the bundle to write.")
@option("--proofs", type=FILE, help="Folder for the receipt of each entry of the trail.")
@option("--names", "with_names", is_flag=True, help="Give names too, not accounts alone.")
@common
def audit_command(  # noqa: PLR0913 (one parameter an option)
    options: Common,
    *,
    what: str | None,
    since: Path | None,
    proof: Path | None,
    form: str,
    output: Path | None,
    proofs: Path | None,
    with_names: bool,
) -> None:
    """Audit the log, or tell who did what to an image, a released copy, or as a person.

    Without an argument the whole log is replayed and every stored byte compared; on a network
    also with every head of it that the contract holds. With one, each
    entry of its trail is printed: when, by whom, in which role, allowed or refused, by which
    purpose; the proof of each is verified first. With --format fhir the trail, without an
    argument that of the whole log, is written as a bundle of FHIR R4 AuditEvent resources.
    """
    if (form == "fhir") != (output is not None):
        raise ConfigurationError("--format fhir and --output FILE belong together; give both")
    if what is not None and since is not None:
        raise ConfigurationError("--since checks the whole log; leave out the image or name")
    with Workspace.open(options.workspace, options.passphrase(), node=options.node) as workspace:
        if what is None and output is None:
            _replay(options, workspace, since=since, proof=proof)
            return
        trail = audit_trail(workspace, what, with_names=with_names)
        if output is None:
            _print(options, [(each, _proof(each, proofs)) for each in trail])
            return
        entries = list(trail)
        for entry in entries:
            _proof(entry, proofs)
        bundle = audit_bundle(entries, workspace.log.vkey)
    write_file(f"{json.dumps(bundle, indent=1)}\n".encode(), output)
    emit(
        options,
        {"file": str(output), "entries": len(entries)},
        f"{output}: {len(entries)} audit events, the proof of each verified",
    )


def _proof(entry: TrailEntry, folder: Path | None) -> Path | None:
    return None if folder is None else write_proofs(entry, folder)


def _replay(
    options: Common, workspace: Workspace, *, since: Path | None, proof: Path | None
) -> None:
    value = ledger.audit(workspace, since=since, proof=proof)
    heads = value.get("anchored_heads")
    emit(
        options,
        value,
        f"{value['size']} entries and {value['checkpoints']} checkpoints verify"
        + (f"; continues the log of size {value['since']}" if since else "")
        + (f"; continues the {heads} heads that the contract holds" if heads is not None else ""),
    )
    if "anchored_heads" in value and heads is None:
        say("no node answers, so the log was not compared with the heads in the contract")


def _print(options: Common, entries: list[tuple[TrailEntry, Path | None]]) -> None:
    """Print a line an entry; what has no value is left blank."""
    header = ("entry", "time (UTC)", "event", "who", "role", "outcome", "purpose", "about")
    table: list[tuple[str, ...]] = [header]
    for entry, proof in entries:
        row = trail_row(entry, proof=proof)
        table.append(_cells(entry))
        if options.json:
            emit(options, row, "")
    if options.json:
        return
    widths = [max(len(line[place]) for line in table) for place in range(len(header))]
    for line in table:
        text = "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        click.echo(text.rstrip())
    click.echo(f"{len(entries)} entries, the proof of each verified", err=True)


def _cells(entry: TrailEntry) -> tuple[str, ...]:
    row, record = trail_row(entry), entry.record
    outcome = record.outcome
    if record.reason:
        outcome += f" ({record.reason}" + ("" if record.basis is None else f" {record.basis}") + ")"
    changed = (record.event.details.get(key) for key in ("change", "action", "role"))
    about = row["account_name"] or row["account"] or row["image_id"] or record.event.subject
    return (
        str(record.index),
        str(row["at"])[:19].replace("T", " "),
        " ".join(str(word) for word in (record.event.kind, *changed) if word),
        str(entry.name or record.event.actor or "machine"),
        ", ".join(record.roles),
        outcome,
        record.purpose,
        str(about),
    )


COMMANDS = (audit_command,)
