import json
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medseal.datasets.split import PARTS, Member, Split, make_split
from medseal.errors import ConfigurationError, InputError

MEMBERS = st.dictionaries(
    st.text("abcdef/.", min_size=1, max_size=6),
    st.tuples(st.integers(0, 12), st.sampled_from(["tumour", "none"])),
    max_size=60,
).map(
    lambda found: [
        Member(name=name, group=f"g{group}", stratum=stratum)
        for name, (group, stratum) in found.items()
    ]
)


VECTORS = sorted((Path(__file__).parents[1] / "vectors/split-file").glob("*.json"))


@pytest.mark.parametrize("path", VECTORS, ids=lambda path: path.stem)
def test_vectors(path):
    vector = json.loads(path.read_text())
    data = vector["file"].encode()
    if "error" in vector:
        with pytest.raises(InputError, match=vector["message"]) as caught:
            Split.from_bytes(data)
        assert type(caught.value).__name__ == vector["error"]
    else:
        split = Split.from_bytes(data)
        assert split.to_bytes() == data
        assert str(split.digest) == vector["digest"]


def test_there_are_vectors():
    assert {"valid", "other-version", "group-crosses"} <= {path.stem for path in VECTORS}


def grouped(sizes, strata=("a", "b")):
    return [
        Member(name=f"{number}/{index}", group=str(number), stratum=strata[number % len(strata)])
        for number, size in enumerate(sizes)
        for index in range(size)
    ]


@given(MEMBERS, st.integers(0, 5))
def test_no_group_crosses_and_nothing_is_lost(members, seed):
    split = make_split(members, seed=seed)
    homes = {}
    for part in PARTS:
        for member in split.members[part]:
            assert homes.setdefault(member.group, part) == part
    assert sorted(m for part in PARTS for m in split.members[part]) == sorted(members)


@given(MEMBERS, st.randoms(use_true_random=False))
@settings(max_examples=40)
def test_order_of_the_images_does_not_matter(members, random):
    shuffled = list(members)
    random.shuffle(shuffled)
    assert make_split(shuffled, seed=1).digest == make_split(members, seed=1).digest


@given(MEMBERS)
def test_written_then_read_is_equal(members):
    split = make_split(members, seed=3)
    again = Split.from_bytes(split.to_bytes())
    assert again == split
    assert again.to_bytes() == split.to_bytes()


def test_shares_and_strata():
    split = make_split(grouped([1 + i % 5 for i in range(400)]), seed=1)
    total = sum(split.counts.values())
    for part, share in zip(PARTS, (0.8, 0.1, 0.1), strict=True):
        assert split.counts[part] / total == pytest.approx(share, abs=0.01)
        strata = Counter(member.stratum for member in split.members[part])
        assert strata["a"] / split.counts[part] == pytest.approx(0.5, abs=0.03)


def test_seed_decides():
    members = grouped([2] * 100)
    assert make_split(members, seed=1) == make_split(members, seed=1)
    assert make_split(members, seed=1).names("test") != make_split(members, seed=2).names("test")


def test_golden_digest():
    # A change of this digest changes which images every shipped model was tested on.
    assert str(make_split(grouped([1, 2, 3] * 10), seed=1).digest) == (
        "sha256:a9f2ea37c70c7efa637f74709a2185151fde4224cec0db28ae5d351d80575235"
    )


def test_other_shares():
    members = grouped([1] * 100)
    split = make_split(members, seed=1, percent={"train": 50, "validation": 0, "test": 50})
    assert split.counts == {"train": 50, "validation": 0, "test": 50}
    with pytest.raises(ConfigurationError, match="add up to 100"):
        make_split(members, seed=1, percent={"train": 50, "validation": 10, "test": 50})


def test_crossing_group_and_double_name_are_refused():
    one, two = grouped([2])
    with pytest.raises(InputError, match="crosses train/test"):
        Split(seed=1, members={"train": (one,), "validation": (), "test": (two,)})
    with pytest.raises(InputError, match="stands twice"):
        Split(seed=1, members={"train": (one, one), "validation": (), "test": ()})


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (b"medseal/split/v1", b"medseal/split/v2", "not a split file of"),
        (b'"seed":1', b'"seed":true', "not a split file of"),
        (b'"seed":1', b'"seeds":1', "wrong fields"),
        (b'"seed":1', b'"seed": 1', "canonical"),
        (b'["0/0","0","a",""]', b'["0/0","0","a"]', "a member in a split file"),
        (b'"validation":[', b'"validation":0,"x":[', "wrong fields"),
    ],
)
def test_other_files_are_refused(old, new, message):
    data = make_split(grouped([1] * 4), seed=1).to_bytes()
    assert old in data
    with pytest.raises(InputError, match=message):
        Split.from_bytes(data.replace(old, new))


def test_unsorted_file_is_refused():
    split = make_split(grouped([2]), seed=1)
    data = split.to_bytes()
    first, second = (f'["0/{index}","0","a",""]'.encode() for index in (0, 1))
    assert first + b"," + second in data
    with pytest.raises(InputError, match="members of train are not sorted"):
        Split.from_bytes(data.replace(first + b"," + second, second + b"," + first))


def test_file_on_disk(tmp_path):
    split = make_split(grouped([1] * 20), seed=1)
    split.write(tmp_path / "split.json")
    assert Split.read(tmp_path / "split.json") == split
