"""Write the vectors of the ledger event; shares no code with the package.

Run ``python tests/vectors/ledger-event/generate.py``. Accounts, nonces and times are fixed, so a
run that changes a file shows a change of the format or of the rules.
"""

import json
from pathlib import Path
from typing import Any

VECTORS = Path(__file__).parent
VERSION = "medseal-event/v1\n"
T, HOUR, DAY = 1_700_000_000_000, 3_600_000, 86_400_000
OWNER, DOCTOR, RESEARCHER, REGISTRAR = (f"{number:032x}" for number in range(1, 5))
GATEWAY, SERVICE = "9a" * 20, "c0" * 20
IMAGE, DIGEST, CONTRACT = "sha256:" + "aa" * 32, "sha256:" + "dd" * 32, "0x" + "7e" * 20


def leaf(
    kind: str,
    actor: str = "",
    *,
    subject: str = "",
    at_ms: int = T,
    number: int = 0,
    **details: str | int,
) -> str:
    fields = {
        "actor": actor,
        "at_ms": at_ms,
        "details": details,
        "kind": kind,
        "nonce": f"{number:032x}",
        "subject": subject,
    }
    return VERSION + json.dumps(fields, sort_keys=True, separators=(",", ":"))


def write(name: str, **vector: Any) -> None:
    (VECTORS / f"{name}.json").write_text(json.dumps(vector, indent=2) + "\n")


# --- Leaves -------------------------------------------------------------------------------------

RECORDS = {
    "seal": leaf("seal", GATEWAY, subject=IMAGE),
    "genesis": leaf("genesis", OWNER),
    "role": leaf("role", OWNER, account=SERVICE, role="consent-service", change="add"),
    "grant": leaf(
        "grant",
        GATEWAY,
        subject=IMAGE,
        account=RESEARCHER,
        action="view",
        purpose="study-7",
        expires_ms=T + DAY,
    ),
    "revoke": leaf("revoke", GATEWAY, subject=IMAGE, account=RESEARCHER, action="all"),
    "break_glass": leaf("break-glass", DOCTOR, subject=IMAGE, reason=DIGEST),
    "consent": leaf("consent", SERVICE, subject=IMAGE, change="withdraw", consent=DIGEST),
    "erase": leaf("erase", OWNER, subject=IMAGE),
    "pause": leaf("pause", OWNER, change="pause"),
    "network": leaf("network", OWNER, chain_id=1337, contract=CONTRACT, account=GATEWAY),
    "machine": leaf("verify", outcome="authentic", score=97),
}


def write_leaves() -> None:
    for name, text in RECORDS.items():
        write(f"valid_{name}", expect="success", leaf=text)
    good = RECORDS["seal"]
    bad = {
        "other_version": (good.replace("/v1", "/v2"), "another version"),
        "unknown_kind": (good.replace('"seal"', '"scan"'), "unknown kind"),
        "white_space": (good.replace('":', '": '), "malformed"),
        "field_missing": (good.replace('"kind":"seal",', ""), "lacks a field"),
        "address_with_prefix": (good.replace(GATEWAY, "0x" + GATEWAY), "actor"),
        "address_in_capitals": (good.replace(GATEWAY, GATEWAY.upper()), "actor"),
        "address_of_a_person": (good.replace(GATEWAY, "0" * 8 + OWNER), "actor"),
        "account_of_36_digits": (good.replace(GATEWAY, "9a" * 18), "actor"),
        "bare_subject": (good.replace("sha256:", ""), "subject"),
        "uid": (leaf("seal", study="1.2.840.10008.1"), "looks like a UID"),
        "person_name": (leaf("seal", name="Doe^Jane"), "looks like free text"),
    }
    for name, (text, message) in bad.items():
        write(name, expect="LedgerError", message=message, leaf=text)


# --- Histories ----------------------------------------------------------------------------------

# Who is what in every history below.
CAST = [
    leaf("genesis", OWNER),
    leaf("role", OWNER, number=1, account=DOCTOR, role="radiologist", change="add"),
    leaf("role", OWNER, number=2, account=RESEARCHER, role="researcher", change="add"),
    leaf("role", OWNER, number=3, account=REGISTRAR, role="registrar", change="add"),
    leaf("role", OWNER, number=4, account=SERVICE, role="consent-service", change="add"),
]


def grant(account: str, action: str = "view", **details: str | int) -> str:
    return leaf("grant", REGISTRAR, subject=IMAGE, account=account, action=action, **details)


def ask(reason: str, account: str, action: str = "view", **words: str | int) -> dict[str, Any]:
    question = {"account": account, "subject": IMAGE, "action": action, "purpose": "", "at_ms": T}
    return {**question, **words, "reason": reason}


STUDY: dict[str, Any] = {"purpose": "study-7", "expires_ms": T + 366 * DAY}
HISTORIES: dict[str, tuple[list[str], list[dict[str, Any]]]] = {
    "nothing_granted": ([], [ask("owner", OWNER), ask("no-grant", DOCTOR)]),
    "granted": (
        [grant(DOCTOR, expires_ms=T + HOUR)],
        [
            ask("granted", DOCTOR, at_ms=T + HOUR - 1),
            ask("granted", DOCTOR, purpose="teaching"),
            ask("expired", DOCTOR, at_ms=T + HOUR),
            ask("no-grant", DOCTOR, "share"),
        ],
    ),
    "revoked": (
        [
            grant(DOCTOR),
            leaf("revoke", OWNER, subject=IMAGE, account=DOCTOR, action="view"),
        ],
        [ask("revoked", DOCTOR)],
    ),
    "researcher": (
        [grant(RESEARCHER, **STUDY)],
        [
            ask("granted", RESEARCHER, purpose="study-7"),
            ask("purpose", RESEARCHER),
            ask("unbounded", RESEARCHER, purpose="study-7", at_ms=T - 1),
        ],
    ),
    "researcher_without_purpose_or_end": (
        [grant(RESEARCHER, "view"), grant(RESEARCHER, "share", purpose="study-7")],
        [
            ask("purpose", RESEARCHER, purpose="study-7"),
            ask("unbounded", RESEARCHER, "share", purpose="study-7"),
        ],
    ),
    "consent_withdrawn": (
        [grant(RESEARCHER, **STUDY), grant(DOCTOR), RECORDS["consent"]],
        [ask("withdrawn", RESEARCHER, purpose="study-7"), ask("granted", DOCTOR)],
    ),
    "consent_given_again": (
        [
            grant(RESEARCHER, **STUDY),
            RECORDS["consent"],
            leaf("consent", SERVICE, subject=IMAGE, change="give", consent=DIGEST),
        ],
        [ask("granted", RESEARCHER, purpose="study-7")],
    ),
    "broken_glass": (
        [RECORDS["break_glass"]],
        [
            ask("break-glass", DOCTOR, at_ms=T + HOUR - 1),
            ask("no-grant", DOCTOR, at_ms=T + HOUR),
            ask("no-grant", DOCTOR, "share"),
        ],
    ),
    "paused": (
        [grant(DOCTOR), RECORDS["break_glass"], RECORDS["pause"]],
        [ask("owner", OWNER), ask("paused", DOCTOR), ask("paused", RESEARCHER)],
    ),
    "erased": (
        [grant(DOCTOR), RECORDS["erase"], grant(DOCTOR, "share")],
        [ask("erased", OWNER), ask("erased", DOCTOR), ask("erased", DOCTOR, "share")],
    ),
    "contract_judges": (
        [grant(DOCTOR), RECORDS["network"], grant(DOCTOR, "share"), RECORDS["break_glass"]],
        [ask("network", OWNER), ask("network", GATEWAY), ask("network", DOCTOR, "share")],
    ),
    "ownership_passed_on": (
        [
            leaf("role", OWNER, account=GATEWAY, role="owner", change="offer"),
            leaf("role", GATEWAY, at_ms=T + DAY, account=GATEWAY, role="owner", change="accept"),
        ],
        [ask("owner", GATEWAY), ask("no-grant", OWNER)],
    ),
}
OFFER = leaf("role", OWNER, account=DOCTOR, role="owner", change="offer")
ACCEPT = {"account": DOCTOR, "role": "owner", "change": "accept"}
REFUSALS: dict[str, tuple[str, list[str], str]] = {
    "second_genesis": ("not-owner", [], leaf("genesis", DOCTOR, number=9)),
    "role_by_a_registrar": (
        "not-owner",
        [],
        leaf("role", REGISTRAR, account=DOCTOR, role="auditor", change="add"),
    ),
    "accepted_without_offer": ("not-offered", [], leaf("role", DOCTOR, **ACCEPT)),
    "accepted_too_early": (
        "too-early",
        [OFFER],
        leaf("role", DOCTOR, at_ms=T + DAY - 1, **ACCEPT),
    ),
    "grant_by_a_doctor": (
        "not-registrar",
        [],
        leaf("grant", DOCTOR, subject=IMAGE, account=DOCTOR, action="view"),
    ),
    "glass_broken_by_a_researcher": (
        "not-clinical",
        [],
        leaf("break-glass", RESEARCHER, subject=IMAGE, reason=DIGEST),
    ),
    "glass_broken_while_paused": ("paused", [RECORDS["pause"]], RECORDS["break_glass"]),
    "glass_broken_of_an_erased_image": ("erased", [RECORDS["erase"]], RECORDS["break_glass"]),
    "consent_by_the_owner": (
        "not-consent-service",
        [],
        leaf("consent", OWNER, subject=IMAGE, change="withdraw", consent=DIGEST),
    ),
    "consent_for_an_erased_image": ("erased", [RECORDS["erase"]], RECORDS["consent"]),
    "erased_twice": ("erased", [RECORDS["erase"]], leaf("erase", OWNER, subject=IMAGE, number=9)),
    "paused_twice": ("paused", [RECORDS["pause"]], leaf("pause", OWNER, number=9, change="pause")),
    "resumed_without_pause": ("not-paused", [], leaf("pause", OWNER, change="resume")),
    "network_by_a_stranger": (
        "not-owner",
        [],
        leaf("network", GATEWAY, chain_id=1337, contract=CONTRACT, account=GATEWAY),
    ),
}


def write_histories() -> None:
    for name, (events, decisions) in HISTORIES.items():
        write(f"history_{name}", expect="success", events=[*CAST, *events], decisions=decisions)
    for name, (reason, events, refused) in REFUSALS.items():
        write(
            f"refused_{name}",
            expect="AccessRefusedError",
            reason=reason,
            events=[*CAST, *events],
            refused=refused,
        )


if __name__ == "__main__":
    write_leaves()
    write_histories()
