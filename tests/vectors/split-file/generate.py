"""Write the test vectors of docs/spec/split-file.md, without any code of medseal.

Run ``python tests/vectors/split-file/generate.py`` in the root of the repository.
"""

import hashlib
import json
from pathlib import Path

HERE = Path(__file__).parent
ONE, TWO, THREE = ["a/1.png", "g1", "x", ""], ["a/2.png", "g1", "x", ""], ["b.png", "g2", "y", ""]
GOOD = {"format": "medseal/split/v1", "seed": 1, "test": [THREE], "train": [ONE, TWO]}
GOOD["validation"] = []


def canonical(value):
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def digest(text):
    state = hashlib.sha256()
    for part in (b"medseal/split/v1", text.encode()):
        state.update(len(part).to_bytes(8, "big") + part)
    return f"sha256:{state.hexdigest()}"


def write(name, text, **expected):
    (HERE / f"{name}.json").write_text(json.dumps({"file": text, **expected}, indent=2) + "\n")


write("valid", canonical(GOOD), digest=digest(canonical(GOOD)))
REFUSED = {
    "other-version": (canonical({**GOOD, "format": "medseal/split/v2"}), "not a split file of"),
    "field-missing": (canonical({k: GOOD[k] for k in GOOD if k != "test"}), "wrong fields"),
    "field-unknown": (canonical({**GOOD, "x": 1}), "wrong fields"),
    "seed-not-a-number": (canonical({**GOOD, "seed": "1"}), "not a split file of"),
    "part-not-a-list": (canonical({**GOOD, "test": "b.png"}), "a part of a split file is a list"),
    "member-too-short": (canonical({**GOOD, "test": [THREE[:3]]}), "a member in a split file"),
    "group-crosses": (canonical({**GOOD, "train": [ONE], "test": [TWO]}), "crosses train/test"),
    "name-twice": (canonical({**GOOD, "train": [ONE, ONE]}), "stands twice"),
    "unsorted": (canonical({**GOOD, "train": [TWO, ONE]}), "not sorted"),
    "white-space": (json.dumps(GOOD, sort_keys=True), "not in canonical form"),
    "truncated": (canonical(GOOD)[:-1], "not valid JSON"),
}
for name, (text, message) in REFUSED.items():
    write(name, text, error="InputError", message=message)
