"""A part of the bit-flip measurement: nothing that was changed is accepted."""

from benchmarks.integrity import run


def test_nothing_changed_is_accepted() -> None:
    for counts in run(every_bit=False).values():
        assert counts["tried"] > 0
        assert counts["accepted"] == 0
        assert counts["refused_with_a_typed_error"] == counts["tried"]
