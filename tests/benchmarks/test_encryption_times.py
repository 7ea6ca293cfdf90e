import itertools

from benchmarks.encryption_times import least_milliseconds, times


def test_every_network_is_timed_and_exact():
    found = times(quick=True)
    assert len(found) == 3
    for row in found.values():
        assert row["encrypt_ms"] > 0
        assert row["decrypt_ms"] > 0
        assert row["is_exact"]


def test_the_least_of_all_rounds_counts():
    calls = itertools.count()
    assert least_milliseconds(lambda: next(calls), 5) >= 0
    assert next(calls) == 5
