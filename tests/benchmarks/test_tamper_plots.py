from benchmarks.tamper_plots import draw, examples
from tests.benchmarks.test_tamper_tables import BLIND, RESULT, rows


def test_curves_and_families_are_drawn_as_png(tmp_path):
    written = draw(rows(), RESULT["trials"], BLIND, tmp_path)
    assert [path.name for path in written] == [
        "tamper_curves.png",
        "tamper_families.png",
        "tamper_blind_curves.png",
    ]
    for path in written:
        assert path.read_bytes().startswith(b"\x89PNG")


def test_examples_are_phantoms_with_what_was_said(tmp_path):
    path, outcomes = examples(tmp_path / "examples.png")
    assert path.read_bytes().startswith(b"\x89PNG")
    assert len(outcomes) == 8
    assert all(text.split()[0] in {"hit", "miss", "false", "passed"} for text in outcomes.values())


def test_nothing_is_drawn_of_nothing(tmp_path):
    assert draw([], {}, [], tmp_path) == []
