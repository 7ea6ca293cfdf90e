"""Write the test vectors of docs/spec/model-folder.md, without any code of medseal.

Run ``python tests/vectors/model-folder/generate.py`` in the root of the repository.
"""

import hashlib
import json
from pathlib import Path

HERE = Path(__file__).parent
SHA256 = hashlib.sha256(b"weights").hexdigest()
GOOD = f"""format = "medseal/model-card/v1"
id = "a-model"
version = "1"
task = "tumour"
modality = "MR"
method = "five-layer-cnn"
default = true
sha256 = "sha256:{SHA256}"
classes = ["no_tumour", "tumour"]
limits = "Not a medical device.\\nM\u00e4\u00dfig \\"gut\\"."

[calibration]
temperature = 1.5

[metrics]
accuracy = [0.95, 0.9, 1.0]

[metrics."by site"]
one = 3
"""


def write(name, text, **expected):
    (HERE / f"{name}.json").write_text(json.dumps({"file": text, **expected}, indent=2) + "\n")


write("valid", GOOD, id="a-model", sha256=f"sha256:{SHA256}")
REFUSED = {
    "other-version": (GOOD.replace("card/v1", "card/v2"), "first line must say"),
    "comment-first": ("# card\n" + GOOD, "first line must say"),
    "not-toml": (GOOD.replace("default = true", "default ="), "not valid TOML"),
    "key-twice": (GOOD.replace("default = true", "default = true\ndefault = true"), "valid TOML"),
    "field-missing": (GOOD.replace('task = "tumour"\n', ""), "unknown fields: task"),
    "field-unknown": (GOOD.replace("default", "author = 1\ndefault", 1), "unknown fields: author"),
    "wrong-type": (GOOD.replace("default = true", "default = 1"), "default has the wrong type"),
    "class-without-name": (GOOD.replace('"tumour"]', "1]"), "a class has a name"),
    "id-leaves-folder": (GOOD.replace('"a-model"', '"../a"'), "joined by hyphens"),
    "digest-short": (GOOD.replace(SHA256, SHA256[:-1]), "sha256 is not a digest"),
    "empty-text": (GOOD.replace('version = "1"', 'version = ""'), "version is empty"),
    "other-order": (
        GOOD.replace('id = "a-model"\nversion = "1"', 'version = "1"\nid = "a-model"'),
        "not in canonical form",
    ),
    "trailing-bytes": (GOOD + "\n", "not in canonical form"),
}
for name, (text, message) in REFUSED.items():
    write(name, text, error="WeightsError", message=message)
