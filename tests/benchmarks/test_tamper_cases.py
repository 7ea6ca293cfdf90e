from benchmarks.tamper_cases import bad_inputs, frame_cases


def test_bad_input_is_never_called_authentic():
    found = bad_inputs()
    assert found["wrong"] == []
    outcomes = found["outcomes"]
    assert outcomes["no record"] == "unverifiable"
    assert outcomes["record of an older version replayed"] == "tampered"
    assert outcomes["record cut"] == outcomes["key of another hospital"] == "FingerprintError"
    assert outcomes["12 bits: one value changed by the least step"] == "tampered"
    assert all(outcomes[name] == "authentic" for name in outcomes if name.endswith(": unchanged"))


def test_frames_that_were_moved_are_named():
    found = frame_cases()
    assert found["unchanged"]["outcome"] == "authentic"
    for name in ("one dropped", "two exchanged", "one twice", "order reversed"):
        assert found[name]["outcome"] == "tampered"
        assert found[name]["named"]
    assert found["one of another patient inserted"]["named"]
    assert found["a lesion in frame 3"]["frames"] == [3]
    assert "unchanged, JPEG 85" in found
