"""`medseal access consent`, `carry-withdrawals`, `review`: patients' word, and emergencies."""

from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import click

from medseal.cli.access_roles import on_network
from medseal.cli.options import Common, argument_file, common, emit, option
from medseal.ledger import ConsentChange
from medseal.pipeline.consent import carry_withdrawals, relay_consent
from medseal.pipeline.emergency import Emergency, review
from medseal.pipeline.workspace import OWNER, Workspace

__all__ = ["COMMANDS"]


@click.command(name="consent")
@click.argument("change", type=click.Choice(["give", "withdraw"]))
@click.argument("image_id")
@argument_file("file", metavar="FILE")
@option("--signer", help="Address of the patient's key, 0x and 40 digits; once an image.")
@option("--as", "name", default=OWNER, show_default=True, help="Name of the consent service.")
@common
def consent_command(
    options: Common, *, change: str, image_id: str, file: Path, signer: str | None, name: str
) -> None:
    """Relay the consent to research, or its withdrawal, that a patient has signed in FILE.

    Signature, image and time are checked. The ledger gets a salted commitment alone; statement
    and salt stay in the workspace, encrypted.
    """
    with Workspace.open(options.workspace, options.passphrase(), node=options.node) as workspace:
        outcome = relay_consent(
            workspace, image_id, file, ConsentChange(change), signer=signer, name=name
        )
        carried = workspace.push()
    word = "given" if outcome.change is ConsentChange.GIVE else "withdrawn"
    emit(
        options,
        {
            "image_id": image_id,
            "change": change,
            "consent": outcome.commitment,
            "receipt": str(outcome.receipt),
            "state": carried.state,
            "detail": carried.detail,
        },
        f"consent to research with image {image_id} is {word}; receipt {outcome.receipt}"
        + on_network(carried),
    )


@click.command(name="carry-withdrawals")
@option("--as", "name", default=OWNER, show_default=True, help="Name of the consent service.")
@common
def carry_command(options: Common, name: str) -> None:
    """Record in the contract the withdrawals of patients from before the workspace joined it."""
    with Workspace.open(options.workspace, options.passphrase(), node=options.node) as workspace:
        count = carry_withdrawals(workspace, name=name)
        carried = workspace.push()
    emit(
        options,
        {"withdrawals": count, "state": carried.state, "detail": carried.detail},
        f"{count} withdrawals are recorded{on_network(carried)}",
    )


@click.command(name="review")
@option("--reason", help="Compare these words with the reason that was stated.")
@common
def review_command(options: Common, reason: str | None) -> None:
    """Review every break-glass: who, when, which image, and what was done under it."""
    with Workspace.open(options.workspace, options.passphrase(), node=options.node) as workspace:
        found = review(workspace, reason=reason)
    for each in found:
        value = asdict(each) | {"opened": _iso(each.opened_ms), "until": _iso(each.until_ms)}
        emit(options, value, _line(each))
    if not found and not options.json:
        click.echo("Nobody has broken the glass.", err=True)


def _iso(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="seconds")


def _line(each: Emergency) -> str:
    used = ", ".join(map(str, each.uses)) or "none"
    agrees = {None: "", True: "; the reason is these words", False: "; the reason is another"}
    return (
        f"{_iso(each.opened_ms)} entry {each.index}: {each.name} ({', '.join(each.roles)}), "
        f"image {each.image_id or 'erased'}, {'open now' if each.is_open else 'closed'}, "
        f"uses: {used}; reason {each.reason}{agrees[each.is_reason]}"
    )


COMMANDS: tuple[click.Command, ...] = (consent_command, carry_command, review_command)
