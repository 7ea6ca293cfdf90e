import json

import numpy as np

from benchmarks.watermark_costs import bad_inputs, generated, growth, main, measure


def test_a_generated_image_has_texture_and_black_air():
    values = generated(256, 200).stored_values[0, :, :, 0]
    assert values.shape == (256, 200)
    assert values[0, 0] == 0
    assert values.max() > 3000
    assert np.array_equal(values, generated(256, 200).stored_values[0, :, :, 0])


def test_times_and_memory_are_measured(capsys):
    main(["256", "1"])
    printed = json.loads(capsys.readouterr().out)
    assert set(printed) == set(measure(256, 1))
    assert all(value > 0 for value in printed.values())
    assert printed["memory_peak_mib"] >= printed["memory_before_mib"]


def test_each_side_is_measured_in_a_process_of_its_own():
    found = growth((256,), 1)
    assert found["256x256"]["embed_ms"] > 0


def test_bad_input_never_gives_a_wrong_payload():
    outcomes = bad_inputs()
    assert "wrong payload" not in outcomes.values()
    assert outcomes["embed into a constant image"] == "WatermarkCapacityError"
    assert outcomes["embed with a short key"] == "WatermarkKeyError"
    assert outcomes["extract with the wrong key"] == "not detected"
    assert outcomes["extract from a constant image"] == "not detected"
