import dataclasses
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medseal.digest import Digest
from medseal.errors import WeightsError
from medseal.weights.card import MAX_CARD_BYTES, Card, is_model_id, parse_card, write_card

TEXT = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\r"), min_size=1, max_size=40
)
SCALARS = st.one_of(TEXT, st.booleans(), st.integers(-(2**53), 2**53), st.floats(allow_nan=False))
VALUES = st.recursive(
    st.one_of(SCALARS, st.lists(SCALARS, max_size=3)),
    lambda inner: st.dictionaries(TEXT, inner, min_size=1, max_size=3),
    max_leaves=8,
)
TABLES = st.dictionaries(TEXT, VALUES, max_size=4)


VECTORS = sorted((Path(__file__).parents[1] / "vectors/model-folder").glob("*.json"))


@pytest.mark.parametrize("path", VECTORS, ids=lambda path: path.stem)
def test_vectors(path):
    vector = json.loads(path.read_text())
    data = vector["file"].encode()
    if "error" in vector:
        with pytest.raises(WeightsError, match=vector["message"]) as caught:
            parse_card(data, name="a-model")
        assert type(caught.value).__name__ == vector["error"]
    else:
        card = parse_card(data, name="a-model")
        assert (card.id, str(card.sha256)) == (vector["id"], vector["sha256"])
        assert write_card(card) == data


def test_there_are_vectors():
    assert {"valid", "other-version", "trailing-bytes"} <= {path.stem for path in VECTORS}


def make_card(**changes):
    fields = {
        "id": "a-model-1",
        "version": "1",
        "task": "tumour",
        "modality": "MR",
        "method": "five-layer-cnn",
        "sha256": Digest.plain(b"x"),
        "default": True,
        "limits": "Not a medical device.",
        "classes": ("no", "yes"),
    }
    return Card(**{**fields, **changes})


@given(limits=TEXT, default=st.booleans(), training=TABLES, metrics=TABLES)
def test_written_then_parsed_is_equal(limits, default, training, metrics):
    card = make_card(limits=limits, default=default, training=training, metrics=metrics)
    data = write_card(card)
    assert parse_card(data, name="a-model-1") == card
    assert write_card(parse_card(data, name="a-model-1")) == data


@given(st.binary(max_size=200))
def test_any_bytes_give_a_card_or_a_typed_error(data):
    with pytest.raises(WeightsError, match="card of x"):
        parse_card(data, name="x")


@pytest.mark.parametrize(
    ("line", "replacement", "message"),
    [
        ("default = true", 'default = "true"', "default has the wrong type"),
        ("default = true", "default = true\ncolour = 1", "unknown fields: colour"),
        ('task = "tumour"\n', "", "missing or unknown fields: task"),
        ('task = "tumour"', 'task = ""', "task is empty"),
        ("sha256:", "sha1:", "sha256 is not a digest"),
        ('["no", "yes"]', '["no", 1]', "a class has a name"),
        ("card/v1", "card/v2", "first line must say medseal/model-card/v1"),
        ("default = true", "default  = true", "not in canonical form"),
        ("default = true", "# a comment\ndefault = true", "not in canonical form"),
        ("default = true", "default = true\ndefault = true", "not valid TOML"),
        ('id = "a-model-1"', 'id = "../x"', "joined by hyphens"),
    ],
)
def test_wrong_cards_are_refused(line, replacement, message):
    text = write_card(make_card()).decode()
    assert line in text
    with pytest.raises(WeightsError, match=message):
        parse_card(text.replace(line, replacement).encode(), name="a-model-1")


def test_huge_card_is_refused_before_parsing():
    with pytest.raises(WeightsError, match=f"more than {MAX_CARD_BYTES} bytes"):
        parse_card(b"#" * (MAX_CARD_BYTES + 1), name="x")


def test_value_that_toml_cannot_hold_is_refused():
    with pytest.raises(WeightsError, match="cannot hold a NoneType"):
        write_card(make_card(metrics={"accuracy": None}))


@pytest.mark.parametrize(
    ("text", "expected"),
    [("a", True), ("a-1b", True), ("", False), ("-a", False), ("a/b", False), ("..", False),
     ("A", False), ("a--b", False), ("a\n", False), ("a" * 65, False)],
)  # fmt: skip
def test_model_ids(text, expected):
    assert is_model_id(text) is expected


def test_cards_cannot_be_changed():
    card = parse_card(write_card(make_card(metrics={"a": 1})), name="a-model-1")
    with pytest.raises(dataclasses.FrozenInstanceError, match="cannot assign"):
        card.default = False
    with pytest.raises(TypeError, match="does not support item assignment"):
        card.metrics["a"] = 2
