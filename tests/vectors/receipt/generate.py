"""Write the vectors of merkle, checkpoint and receipt; shares no code with the package.

Run ``python tests/vectors/receipt/generate.py``. Keys, salts and times are fixed, so a run that
changes a file shows a change of a format.
"""

import base64
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

VECTORS = Path(__file__).parents[1]
LOG_NAME, WITNESS_NAME = "medseal.example/vectors", "witness.example/w1"
LOG_TYPE, WITNESS_TYPE = b"\x01", b"\x04"


def sha256(*parts: bytes) -> bytes:
    return hashlib.sha256(b"".join(parts)).digest()


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


# --- Keys and notes -----------------------------------------------------------------------------

LOG, OTHER, WITNESS = (
    Ed25519PrivateKey.from_private_bytes(sha256(name)) for name in (b"log", b"other", b"witness")
)


def key_id(name: str, key_type: bytes, key: Ed25519PrivateKey) -> bytes:
    return sha256(name.encode(), b"\n", key_type, key.public_key().public_bytes_raw())[:4]


def vkey(name: str, key_type: bytes, key: Ed25519PrivateKey) -> str:
    public = b64(key_type + key.public_key().public_bytes_raw())
    return f"{name}+{key_id(name, key_type, key).hex()}+{public}"


LOG_VKEY, OTHER_VKEY = vkey(LOG_NAME, LOG_TYPE, LOG), vkey(LOG_NAME, LOG_TYPE, OTHER)
WITNESS_VKEY = vkey(WITNESS_NAME, WITNESS_TYPE, WITNESS)


def body(size: int | str, root: bytes, origin: str = LOG_NAME) -> str:
    return f"{origin}\n{size}\n{b64(root)}\n"


def log_line(text: str, key: Ed25519PrivateKey = LOG) -> str:
    signature = key_id(LOG_NAME, LOG_TYPE, key) + key.sign(text.encode())
    return f"— {LOG_NAME} {b64(signature)}\n"


def witness_line(text: str, signed_s: int, stated_s: int | None = None) -> str:
    signature = WITNESS.sign(f"cosignature/v1\ntime {signed_s}\n{text}".encode())
    time = (signed_s if stated_s is None else stated_s).to_bytes(8, "big")
    data = key_id(WITNESS_NAME, WITNESS_TYPE, WITNESS) + time + signature
    return f"— {WITNESS_NAME} {b64(data)}\n"


def note(text: str, *lines: str) -> str:
    return f"{text}\n{''.join(lines)}"


# --- Trees, as RFC 6962 defines them ------------------------------------------------------------


def leaf_hash(leaf: bytes) -> bytes:
    return sha256(b"\x00", leaf)


def half(size: int) -> int:
    power = 1
    while 2 * power < size:
        power *= 2
    return power


def root(leaves: Sequence[bytes]) -> bytes:
    if len(leaves) < 2:
        return leaf_hash(leaves[0]) if leaves else sha256()
    k = half(len(leaves))
    return sha256(b"\x01", root(leaves[:k]), root(leaves[k:]))


def inclusion(index: int, leaves: Sequence[bytes]) -> list[bytes]:
    if len(leaves) == 1:
        return []
    k = half(len(leaves))
    if index < k:
        return [*inclusion(index, leaves[:k]), root(leaves[k:])]
    return [*inclusion(index - k, leaves[k:]), root(leaves[:k])]


def consistency(old: int, leaves: Sequence[bytes], *, known: bool = True) -> list[bytes]:
    if old == len(leaves):
        return [] if known else [root(leaves)]
    k = half(len(leaves))
    if old <= k:
        return [*consistency(old, leaves[:k], known=known), root(leaves[k:])]
    return [*consistency(old - k, leaves[k:], known=False), root(leaves[:k])]


def write(name: str, vector: dict[str, Any]) -> None:
    path = VECTORS / f"{name}.json"
    path.write_text(json.dumps(vector, indent=2, ensure_ascii=False) + "\n")


# --- merkle -------------------------------------------------------------------------------------

# The tree that implementations of Certificate Transparency share as a known answer.
CT_LEAVES = [
    bytes.fromhex(leaf)
    for leaf in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]


def write_inclusion() -> None:
    path = [value.hex() for value in inclusion(5, CT_LEAVES[:7])]
    good = {
        "expect": "success",
        "proof": "inclusion",
        "leaf_hash": leaf_hash(CT_LEAVES[5]).hex(),
        "index": 5,
        "size": 7,
        "path": path,
        "root": root(CT_LEAVES[:7]).hex(),
    }
    write("merkle/inclusion", good)
    node = leaf_hash(CT_LEAVES[4]) + leaf_hash(CT_LEAVES[5])
    bad: dict[str, dict[str, Any]] = {
        "wrong_leaf": {"leaf_hash": leaf_hash(CT_LEAVES[4]).hex()},
        "wrong_index": {"index": 4},
        "index_beyond_size": {"index": 7},
        "too_short": {"path": path[:-1]},
        "too_long": {"path": [*path, bytes(32).hex()]},
        # Second preimage: the two hashes below a node given as if they were a leaf.
        "node_as_leaf": {"leaf_hash": leaf_hash(node).hex(), "path": path[1:]},
        "wrong_root": {"root": root(CT_LEAVES[:6]).hex()},
    }
    for name, change in bad.items():
        write(f"merkle/inclusion_{name}", good | {"expect": "InclusionError"} | change)


def write_consistency() -> None:
    path = [value.hex() for value in consistency(3, CT_LEAVES[:7])]
    good = {
        "expect": "success",
        "proof": "consistency",
        "old_size": 3,
        "new_size": 7,
        "path": path,
        "old_root": root(CT_LEAVES[:3]).hex(),
        "new_root": root(CT_LEAVES[:7]).hex(),
    }
    write("merkle/consistency", good)
    bad: dict[str, dict[str, Any]] = {
        "rewritten": {"old_root": root(CT_LEAVES[:2]).hex()},
        "wrong_new_root": {"new_root": root(CT_LEAVES).hex()},
        "rolled_back": {"old_size": 7, "new_size": 3},
        "empty": {"path": []},
        "too_long": {"path": [*path, bytes(32).hex()]},
    }
    for name, change in bad.items():
        write(f"merkle/consistency_{name}", good | {"expect": "ConsistencyError"} | change)


def write_merkle() -> None:
    tree = {
        "expect": "success",
        "proof": "tree",
        "leaves": [leaf.hex() for leaf in CT_LEAVES],
        "roots": [root(CT_LEAVES[:size]).hex() for size in range(len(CT_LEAVES) + 1)],
    }
    write("merkle/tree", tree)
    write_inclusion()
    write_consistency()


# --- checkpoint ---------------------------------------------------------------------------------


def write_checkpoints() -> None:
    head_root, other_root, time = sha256(b"root"), sha256(b"another root"), 1_700_000_000
    text = body(7, head_root)
    line, cosigned = log_line(text), witness_line(text, time)
    valid = note(text, line)
    for name, checkpoint, witnesses in (
        ("valid", valid, []),
        ("valid_unknown_witness", note(text, line, cosigned), []),
        ("valid_cosigned", note(text, line, cosigned), [WITNESS_VKEY]),
    ):
        vector = {"expect": "success", "vkey": LOG_VKEY, "witnesses": witnesses, "size": 7}
        write(f"checkpoint/{name}", vector | {"checkpoint": checkpoint})
    other_origin = body(7, head_root, "other.example")
    mangled = line[:-3] + chr(ord(line[-3]) + 1) + line[-2:]
    # The log's own key id over a signature that is nothing.
    hollow = f"— {LOG_NAME} {b64(key_id(LOG_NAME, LOG_TYPE, LOG) + bytes(64))}\n"
    wanted = [WITNESS_VKEY]
    bad: dict[str, tuple[str, str, list[str], str]] = {
        "other_key": (valid, OTHER_VKEY, [], "no signature of a known key"),
        "other_origin": (note(other_origin, log_line(other_origin)), LOG_VKEY, [], "another log"),
        "other_size": (note(body(8, head_root), line), LOG_VKEY, [], "does not fit"),
        "other_root": (note(body(7, other_root), line), LOG_VKEY, [], "does not fit"),
        # Signed, but not in the one form that a size has.
        "leading_zero": (
            note(body("07", head_root), log_line(body("07", head_root))),
            LOG_VKEY,
            [],
            "decimal without leading zeros",
        ),
        "short_root": (
            note(body(7, bytes(31)), log_line(body(7, bytes(31)))),
            LOG_VKEY,
            [],
            "root of 32 bytes",
        ),
        "base64_not_canonical": (note(text, mangled), LOG_VKEY, [], "canonical"),
        "no_signature": (note(text), LOG_VKEY, [], "empty line"),
        "crlf": (valid.replace("\n", "\r\n"), LOG_VKEY, [], "control character"),
        "trailing_newline": (valid + "\n", LOG_VKEY, [], "empty line"),
        "second_line_of_the_log_does_not_hold": (
            note(text, line, hollow),
            LOG_VKEY,
            [],
            "does not fit",
        ),
        "cosignature_missing": (valid, LOG_VKEY, wanted, "lacks the signature of 'witness"),
        "cosignature_other_time": (
            note(text, line, witness_line(text, time, time + 1)),
            LOG_VKEY,
            wanted,
            "does not fit",
        ),
        "cosignature_alone": (note(text, cosigned), LOG_VKEY, wanted, "lacks the signature"),
    }
    for name, (checkpoint, key, witnesses, message) in bad.items():
        vector = {"expect": "CheckpointError", "message": message, "vkey": key}
        write(f"checkpoint/{name}", vector | {"witnesses": witnesses, "checkpoint": checkpoint})


# --- receipt ------------------------------------------------------------------------------------

SALT, VALUES, METADATA = sha256(b"salt"), sha256(b"values"), sha256(b"metadata")
COMMITMENT = sha256(b"\x00\x01", SALT, VALUES, METADATA)
CONTENTS = [
    f'{{"actor":"{1:032x}","at_ms":{1_700_000_000_000 + number},"details":{{}},'
    f'"kind":"seal","nonce":"{number:032x}","subject":"sha256:{COMMITMENT.hex()}"}}'
    for number in range(7)
]
LEAVES = [f"medseal-event/v1\n{content}".encode() for content in CONTENTS]


def with_digest(text: str) -> str:
    return f"{text}digest sha256:{sha256(text.encode()).hex()}\n"


def receipt(*, head: Sequence[str], checkpoint: str) -> str:
    return with_digest("\n".join(head) + "\n\n" + checkpoint)


def write_receipts() -> None:
    text = body(7, root(LEAVES))
    line, cosigned = log_line(text), witness_line(text, 1_700_000_001)
    signed = note(text, line)
    version, leaf = "medseal-receipt/v1", f"leaf medseal-event/v1 {CONTENTS[5]}"
    opening = f"opening {SALT.hex()} sha256:{VALUES.hex()} sha256:{METADATA.hex()}"
    other_opening = opening.replace(SALT.hex(), bytes(32).hex())
    path = [f"path {b64(value)}" for value in inclusion(5, LEAVES)]
    proof = ["index 5", *path]
    plain = [version, leaf, *proof]
    anchor = (
        f'anchor {{"block_hash":"0x{sha256(b"block").hex()}","block_number":12,"chain_id":1337,'
        f'"contract":"0x{sha256(b"contract").hex()[:40]}",'
        f'"transaction":"0x{sha256(b"transaction").hex()}"}}'
    )
    opened = [version, leaf, opening, *proof]
    good = {
        "valid": (receipt(head=plain, checkpoint=signed), []),
        "valid_opened": (receipt(head=opened, checkpoint=signed), []),
        "valid_cosigned": (
            receipt(head=plain, checkpoint=note(text, line, cosigned)),
            [WITNESS_VKEY],
        ),
        "valid_anchored": (
            receipt(head=[version, leaf, opening, anchor, *proof], checkpoint=signed),
            [],
        ),
    }
    for name, (data, witnesses) in good.items():
        vector = {"expect": "success", "vkey": LOG_VKEY, "witnesses": witnesses, "kind": "seal"}
        write(f"receipt/{name}", vector | {"receipt": data})
    other_leaf = leaf.replace("1700000000005", "1700000000006")
    free_text = b"medseal-event/v1\n" + b'{"free":"text"}'
    lone = body(1, leaf_hash(free_text))
    lone_note = note(lone, log_line(lone))
    lone_leaf = "leaf medseal-event/v1 " + '{"free":"text"}'
    whole = good["valid_opened"][0]
    bad: dict[str, tuple[str, str, str]] = {
        "damaged": ("ReceiptError", "damaged", whole.replace("index 5", "index 4")),
        "truncated": ("ReceiptError", "damaged", whole[:-2]),
        "other_version": (
            "ReceiptError",
            "version 1",
            receipt(head=["medseal-receipt/v2", *plain[1:]], checkpoint=signed),
        ),
        "unknown_line": (
            "ReceiptError",
            "does not know",
            receipt(head=[*plain, "note x"], checkpoint=signed),
        ),
        "other_order": (
            "ReceiptError",
            "canonical form",
            receipt(head=[version, *proof, leaf], checkpoint=signed),
        ),
        "index_leading_zero": (
            "ReceiptError",
            "leading zeros",
            receipt(head=[version, leaf, "index 05", *path], checkpoint=signed),
        ),
        "index_beyond_size": (
            "ReceiptError",
            "older than the entry",
            receipt(head=[version, leaf, "index 7", *path], checkpoint=signed),
        ),
        "path_hash_short": (
            "ReceiptError",
            "path is malformed",
            receipt(head=[*plain[:-1], f"path {b64(bytes(31))}"], checkpoint=signed),
        ),
        "opening_other_salt": (
            "ReceiptError",
            "does not fit the commitment",
            receipt(head=[version, leaf, other_opening, *proof], checkpoint=signed),
        ),
        "leaf_is_no_event": (
            "ReceiptError",
            "no valid event",
            receipt(head=[version, lone_leaf, "index 0"], checkpoint=lone_note),
        ),
        "other_leaf": (
            "InclusionError",
            "does not lead",
            receipt(head=[version, other_leaf, *proof], checkpoint=signed),
        ),
        "other_index": (
            "InclusionError",
            "does not lead",
            receipt(head=[version, leaf, "index 4", *path], checkpoint=signed),
        ),
        "path_too_short": (
            "InclusionError",
            "too short",
            receipt(head=plain[:-1], checkpoint=signed),
        ),
        "other_checkpoint": (
            "CheckpointError",
            "does not fit",
            receipt(head=plain, checkpoint=note(body(6, root(LEAVES)), line)),
        ),
        "other_key": (
            "CheckpointError",
            "no signature of a known key",
            receipt(head=plain, checkpoint=note(text, log_line(text, OTHER))),
        ),
    }
    for name, (error, message, data) in bad.items():
        vector = {"expect": error, "message": message, "vkey": LOG_VKEY, "witnesses": []}
        write(f"receipt/{name}", vector | {"receipt": data})


if __name__ == "__main__":
    write_merkle()
    write_checkpoints()
    write_receipts()
