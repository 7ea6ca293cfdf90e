import json

from benchmarks.tamper_costs import costs, main, measure, record_sizes


def test_times_are_measured_by_what_decides(capsys):
    main(["128", "1"])
    printed = json.loads(capsys.readouterr().out)
    assert set(printed) == set(measure(128, 1))
    assert printed["unchanged"]["outcome"] == "authentic"
    assert printed["turned by 90 degrees"]["outcome"] == "transcoded"
    assert printed["edited, not processed"]["outcome"] == "tampered"
    assert 0 < printed["unchanged"]["milliseconds"] <= printed["slowest_ms"]


def test_each_side_is_measured_in_a_process_of_its_own():
    assert costs((128,), 1)["128x128"]["fingerprint_ms"] > 0


def test_the_record_of_one_frame_keeps_its_bound():
    sizes = record_sizes()
    assert max(size for name, size in sizes.items() if "frames" not in name) <= 6144
