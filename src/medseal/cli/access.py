"""`medseal access`: grants, roles, consent, break-glass and its review, transfer, pause."""

from dataclasses import asdict
from datetime import UTC, datetime

import click

from medseal.cli import access_review, access_roles
from medseal.cli.access_roles import ROLE, on_network
from medseal.cli.options import Common, common, emit, option, say
from medseal.errors import ConfigurationError
from medseal.ledger import now_ms
from medseal.pipeline import access
from medseal.pipeline.workspace import Workspace

_ACTION = click.Choice(["view", "classify", "share"])


def _milliseconds(until: str | None) -> int | None:
    """Return UTC milliseconds of an ISO 8601 time; one without zone is taken as UTC."""
    if until is None:
        return None
    try:
        moment = datetime.fromisoformat(until)
    except ValueError:
        raise ConfigurationError("write --until as 2027-01-31 or 2027-01-31T12:00:00Z") from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return int(moment.timestamp() * 1000)


def _iso(at_ms: int | None) -> str | None:
    if at_ms is None:
        return None
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="milliseconds")


@click.group(name="access")
def command() -> None:
    """Grants, roles, consent, break-glass and its review, transfer, pause."""


for _command in (*access_roles.COMMANDS, *access_review.COMMANDS):
    command.add_command(_command)


@command.command(name="grant")
@click.argument("name")
@click.argument("image_id")
@option("--action", type=_ACTION, required=True, help="What NAME may do.")
@option("--purpose", help="Bind the grant to this code of a published list; all may read it.")
@option("--new-purpose", is_flag=True, help="Use a code that the network has never seen.")
@option("--until", help="End of the grant, ISO 8601, UTC unless it names a zone.")
@option("--role", type=ROLE, help="Role of NAME; radiologist for a new one.")
@common
def grant_command(  # noqa: PLR0913 (one parameter an option)
    options: Common,
    *,
    name: str,
    image_id: str,
    action: str,
    purpose: str | None,
    new_purpose: bool,
    until: str | None,
    role: str | None,
) -> None:
    """Let NAME do something with IMAGE_ID; this replaces an older grant for the same action."""
    with Workspace.open(options.workspace, options.passphrase(), node=options.node) as workspace:
        request = access.GrantRequest(
            name=name,
            image_id=image_id,
            action=action,
            purpose=purpose,
            new_purpose=new_purpose,
            until_ms=_milliseconds(until),
            role=role,
        )
        receipt = access.grant(workspace, request)
        carried = workspace.push()
    is_over = request.until_ms is not None and request.until_ms <= now_ms()
    if is_over:
        say("--until lies in the past, so this grant allows nothing")
    emit(
        options,
        {
            "name": name,
            "image_id": image_id,
            "action": action,
            "receipt": str(receipt),
            "state": carried.state,
            "detail": carried.detail,
        },
        f"'{name}' {'may not' if is_over else 'may'} {action} image {image_id}; receipt {receipt}"
        + on_network(carried),
    )


@command.command(name="revoke")
@click.argument("name")
@click.argument("image_id")
@option("--action", type=_ACTION, help="What NAME may no longer do; everything when not given.")
@common
def revoke_command(options: Common, name: str, image_id: str, action: str | None) -> None:
    """End a grant at once; without --action all of them, and an open break-glass window."""
    with Workspace.open(options.workspace, options.passphrase(), node=options.node) as workspace:
        receipt = access.revoke(workspace, name, image_id, action)
        carried = workspace.push()
    emit(
        options,
        {
            "name": name,
            "image_id": image_id,
            "action": action,
            "receipt": str(receipt),
            "state": carried.state,
            "detail": carried.detail,
        },
        f"'{name}' may no longer {action or 'use'} image {image_id}; receipt {receipt}"
        + on_network(carried),
    )


@command.command(name="list")
@common
def list_command(options: Common) -> None:
    """List all grants, with the roles of whom they were given to.

    What break-glass has opened for an hour is listed by 'medseal access review'.
    """
    with Workspace.open(options.workspace, options.passphrase(), node=options.node) as workspace:
        rows = access.list_grants(workspace)
    for row in rows:
        value = asdict(row) | {"until": _iso(row.until_ms)}
        image = row.image_id or "not here, or erased"
        end = value["until"] or "no end"
        who = f"{row.name} ({', '.join(row.roles) or 'no role'})"
        purpose = f", for {row.purpose}" if row.purpose else ""
        text = f"{who:32} {row.action:9} {image:32} {row.status:8} until {end}{purpose}"
        emit(options, value, text)
    if not rows and not options.json:
        click.echo(
            "No grants: the owner may do everything, others only what break-glass has opened;"
            " 'medseal access review' lists that.",
            err=True,
        )


@command.command(name="break-glass")
@click.argument("name")
@click.argument("image_id")
@option("--reason", required=True, help="Why; only its keyed digest reaches the ledger.")
@common
def break_glass_command(options: Common, name: str, image_id: str, reason: str) -> None:
    """Open IMAGE_ID to the clinician NAME for one hour, on record."""
    with Workspace.open(options.workspace, options.passphrase(), node=options.node) as workspace:
        receipt = access.break_glass(workspace, name, image_id, reason=reason)
        carried = workspace.push()
    emit(
        options,
        {
            "name": name,
            "image_id": image_id,
            "action": "view",
            "receipt": str(receipt),
            "state": carried.state,
            "detail": carried.detail,
        },
        f"'{name}' may view image {image_id} for one hour; receipt {receipt}" + on_network(carried),
    )
