"""Write tests/vectors/{merkle,checkpoint,receipt}: python tests/ledger/make_vectors.py"""

import base64
import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from medseal.digest import Digest
from medseal.ledger.checkpoint import Checkpoint
from medseal.ledger.commitment import commit
from medseal.ledger.events import Event, EventKind
from medseal.ledger.merkle import Frontier, Tree, leaf_hash
from medseal.ledger.note import COSIGNATURE_V1, SigningKey
from medseal.ledger.receipt import Opening, Receipt

VECTORS = Path(__file__).parents[1] / "vectors"
LOG = SigningKey(name="medseal.example/vectors", seed=hashlib.sha256(b"log").digest())
OTHER = SigningKey(name=LOG.name, seed=hashlib.sha256(b"other").digest())
WITNESS = SigningKey(
    name="witness.example/w1", seed=hashlib.sha256(b"witness").digest(), algorithm=COSIGNATURE_V1
)
SALT = hashlib.sha256(b"salt").digest()
OPENING = Opening(salt=SALT, values=Digest.plain(b"values"), metadata=Digest.plain(b"metadata"))
COMMITMENT = str(commit(SALT, OPENING.values, OPENING.metadata))

# Leaves of the reference tree that Certificate Transparency implementations share.
CT_LEAVES = (
    "",
    "00",
    "10",
    "2021",
    "3031",
    "40414243",
    "5051525354555657",
    "606162636465666768696a6b6c6d6e6f",
)


def write(name: str, vector: dict[str, Any]) -> None:
    path = VECTORS / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(vector, indent=2, ensure_ascii=False) + "\n")


def grow(leaves: list[bytes]) -> tuple[list[bytes], Callable[[int], Tree]]:
    frontier, nodes = Frontier(), {}
    roots = [frontier.root()]
    for place, leaf in enumerate(leaves):
        nodes[0, place] = leaf_hash(leaf)
        nodes.update({(a, b): node for a, b, node in frontier.append(leaf_hash(leaf))})
        roots.append(frontier.root())
    return roots, lambda size: Tree(size, lambda level, place: nodes[level, place])


def write_merkle() -> None:
    leaves = [bytes.fromhex(leaf) for leaf in CT_LEAVES]
    roots, tree = grow(leaves)
    write(
        "merkle/tree",
        {
            "expect": "success",
            "proof": "tree",
            "leaves": CT_LEAVES,
            "roots": [root.hex() for root in roots],
        },
    )
    inclusion = {
        "expect": "success",
        "proof": "inclusion",
        "leaf_hash": leaf_hash(leaves[5]).hex(),
        "index": 5,
        "size": 7,
        "path": [value.hex() for value in tree(7).inclusion_path(5)],
        "root": roots[7].hex(),
    }
    write("merkle/inclusion", inclusion)
    bad = {
        "inclusion_wrong_leaf": {"leaf_hash": leaf_hash(leaves[4]).hex()},
        "inclusion_wrong_index": {"index": 4},
        "inclusion_index_beyond_size": {"index": 7},
        "inclusion_too_short": {"path": inclusion["path"][:-1]},  # type: ignore[index]
        "inclusion_too_long": {"path": [*inclusion["path"], "00" * 32]},  # type: ignore[misc]
        "inclusion_node_as_leaf": {
            "leaf_hash": leaf_hash(leaf_hash(leaves[4]) + leaf_hash(leaves[5])).hex(),
            "path": inclusion["path"][1:],  # type: ignore[index]
        },
        "inclusion_wrong_root": {"root": roots[6].hex()},
    }
    for name, change in bad.items():
        write(f"merkle/{name}", inclusion | {"expect": "InclusionError"} | change)
    consistency = {
        "expect": "success",
        "proof": "consistency",
        "old_size": 3,
        "new_size": 7,
        "path": [value.hex() for value in tree(7).consistency_path(3)],
        "old_root": roots[3].hex(),
        "new_root": roots[7].hex(),
    }
    write("merkle/consistency", consistency)
    bad = {
        "consistency_rewritten": {"old_root": roots[2].hex()},
        "consistency_wrong_new_root": {"new_root": roots[8].hex()},
        "consistency_rolled_back": {"old_size": 7, "new_size": 3},
        "consistency_empty": {"path": []},
        "consistency_too_long": {"path": [*consistency["path"], "00" * 32]},  # type: ignore[misc]
    }
    for name, change in bad.items():
        write(f"merkle/{name}", consistency | {"expect": "ConsistencyError"} | change)


def write_checkpoints() -> None:
    head = Checkpoint(origin=LOG.name, size=7, root=hashlib.sha256(b"root").digest()).sign(LOG)
    cosigned = head.sign(WITNESS, timestamp_s=1_700_000_000)
    text = head.to_bytes().decode()
    witnessed = cosigned.to_bytes().decode()
    base = {"vkey": str(LOG.vkey), "witnesses": []}
    write(
        "checkpoint/valid",
        {"expect": "success", "size": 7, "checkpoint": text} | base,
    )
    write(
        "checkpoint/valid_unknown_witness",
        {"expect": "success", "size": 7, "checkpoint": witnessed} | base,
    )
    write(
        "checkpoint/valid_cosigned",
        {"expect": "success", "size": 7, "checkpoint": witnessed}
        | base
        | {"witnesses": [str(WITNESS.vkey)]},
    )
    other_origin = Checkpoint(origin="other.example", size=7, root=head.root).sign(LOG)
    signature = text.rpartition(" ")[2]
    bad = {
        "other_key": (Checkpoint.parse(text.encode()), "no signature of a known key"),
        "other_origin": (other_origin, "of another log"),
        "other_size": (replace(head, size=8), "does not fit"),
        "other_root": (replace(head, root=hashlib.sha256(b"other").digest()), "does not fit"),
        "leading_zero": (text.replace("\n7\n", "\n07\n"), "does not fit"),
        "base64_not_canonical": (text[:-3] + chr(ord(text[-3]) + 1) + "=\n", "canonical"),
        "no_signature": (text.replace(f"— {LOG.name} {signature}", ""), "empty line"),
        "crlf": (text.replace("\n", "\r\n"), "control character"),
        "trailing_newline": (text + "\n", "empty line"),
        "second_line_of_the_log_does_not_hold": (
            text + text.rpartition("\n\n")[2].replace(signature[:20], signature[:8] + "A" * 12),
            "does not fit",
        ),
        "cosignature_missing": (head, "lacks the signature of 'witness"),
        "cosignature_other_time": (
            replace(
                cosigned,
                signatures=(
                    cosigned.signatures[0],
                    replace(
                        cosigned.signatures[1],
                        value=(1).to_bytes(8, "big") + cosigned.signatures[1].value[8:],
                    ),
                ),
            ),
            "does not fit",
        ),
    }
    for name, (checkpoint, message) in bad.items():
        data = checkpoint if isinstance(checkpoint, str) else checkpoint.to_bytes().decode()
        vector = base | {"expect": "CheckpointError", "message": message, "checkpoint": data}
        if name == "other_key":
            vector["vkey"] = str(OTHER.vkey)
        if name.startswith("cosignature"):
            vector["witnesses"] = [str(WITNESS.vkey)]
        write(f"checkpoint/{name}", vector)


def with_digest(body: str) -> str:
    return f"{body}digest sha256:{hashlib.sha256(body.encode()).hexdigest()}\n"


def write_receipts() -> None:
    events = [
        Event(
            kind=EventKind.SEAL,
            at_ms=1_700_000_000_000 + number,
            actor=f"{1:032x}",
            subject=COMMITMENT,
            nonce=f"{number:032x}",
        )
        for number in range(7)
    ]
    leaves = [event.leaf() for event in events]
    roots, tree = grow(leaves)
    head = Checkpoint(origin=LOG.name, size=7, root=roots[7]).sign(LOG)
    receipt = Receipt(leaf=leaves[5], index=5, path=tree(7).inclusion_path(5), checkpoint=head)
    opened = receipt.with_opening(OPENING)
    cosigned = replace(opened, checkpoint=head.sign(WITNESS, timestamp_s=1_700_000_001))
    base = {"vkey": str(LOG.vkey), "witnesses": []}
    good = {"valid": receipt, "valid_opened": opened, "valid_cosigned": cosigned}
    for name, each in good.items():
        witnesses = [str(WITNESS.vkey)] if each is cosigned else []
        vector = {"expect": "success", "kind": "seal", "receipt": each.to_bytes().decode()}
        write(f"receipt/{name}", base | {"witnesses": witnesses} | vector)
    text = opened.to_bytes().decode()
    body = text[: text.rindex("digest ")]
    other_leaf = replace(events[5], at_ms=events[5].at_ms + 1).leaf()
    other_salt = Opening(salt=bytes(32), values=OPENING.values, metadata=OPENING.metadata)
    short = base64.b64encode(bytes(31)).decode()
    first_path = body.split("path ")[1].split("\n")[0]
    bad: dict[str, tuple[str, str, str | Receipt]] = {
        "damaged": ("ReceiptError", "damaged", text.replace("index 5", "index 4")),
        "truncated": ("ReceiptError", "damaged", text[:-2]),
        "other_version": (
            "ReceiptError",
            "version 1",
            with_digest(body.replace("receipt/v1", "receipt/v2")),
        ),
        "unknown_line": (
            "ReceiptError",
            "does not know",
            with_digest(body.replace("index 5\n", "index 5\nnote x\n")),
        ),
        "index_leading_zero": (
            "ReceiptError",
            "leading zeros",
            with_digest(body.replace("index 5", "index 05")),
        ),
        "index_beyond_size": (
            "ReceiptError",
            "older",
            with_digest(body.replace("index 5", "index 7")),
        ),
        "path_hash_short": (
            "ReceiptError",
            "path is malformed",
            with_digest(body.replace(first_path, short)),
        ),
        "opening_other_salt": (
            "ReceiptError",
            "does not fit the commitment",
            replace(receipt, opening=other_salt),
        ),
        "other_leaf": ("InclusionError", "does not lead", replace(receipt, leaf=other_leaf)),
        "other_index": ("InclusionError", "does not lead", replace(receipt, index=4)),
        "path_too_short": ("InclusionError", "too short", replace(receipt, path=receipt.path[:-1])),
        "other_checkpoint": (
            "CheckpointError",
            "does not fit",
            replace(receipt, checkpoint=replace(head, size=6)),
        ),
        "other_key": (
            "CheckpointError",
            "no signature of a known key",
            replace(receipt, checkpoint=replace(head, signatures=()).sign(OTHER)),
        ),
    }
    for name, (error, message, each) in bad.items():
        data = each if isinstance(each, str) else each.to_bytes().decode()
        write(f"receipt/{name}", base | {"expect": error, "message": message, "receipt": data})


if __name__ == "__main__":
    write_merkle()
    write_checkpoints()
    write_receipts()
