from benchmarks.classification_page import interval, page_lines

FIGURES = {
    name: {"estimate": 0.9, "low": 0.8, "high": 0.95}
    for name in (
        "accuracy",
        "balanced_accuracy",
        "sensitivity",
        "specificity",
        "precision",
        "f1",
        "auroc",
        "calibration_error",
    )
}
ROW = {
    "inside": {
        "images": 50,
        "coverage": 0.95,
        "figures": FIGURES,
        "calibration_error_expected_if_calibrated": {"estimate": 0.04, "low": 0.02, "high": 0.06},
    },
    "other_sources": {"images": 70, "coverage": 0.5, "figures": FIGURES},
    "paper_1": {"accuracy": 0.92, "training_hours_on_a_gpu": 12},
    "training_hours": 0.5,
    "simulated_sites": {
        "images": 9,
        "sites": {
            "none": {"balanced_accuracy": 0.875, "coverage": 1.0},
            "blur": {"balanced_accuracy": None, "coverage": 1.0},
        },
    },
}


def test_other_sources_come_first_and_claims_beside_what_was_measured():
    lines = list(
        page_lines(
            {
                "part": "test",
                "interval": "95 %",
                "data_sets": {
                    "skin": {"not measured": "no image of skin"},
                    "brain-mri": {
                        "models": {"five-layer-cnn-brain-mri": ROW},
                        "missing": ["ensemble"],
                        "differences": {
                            "a minus b": {**FIGURES, "mcnemar": {"p_value": 0.25}},
                        },
                        "published": {
                            "AutoX": {"auroc": 0.99, "accuracy": 0.9, "source": "literature"}
                        },
                    },
                },
            }
        )
    )
    assert "Not measured: no image of skin" in lines
    assert lines.index("Other sources:") < lines.index("Inside:")
    # Not measured on the other sources.
    assert any(line.endswith("| 0.040 [0.020, 0.060] | 0.950 |") for line in lines)
    assert any(line.endswith("| - | 0.500 |") for line in lines)
    [claim] = [line for line in lines if "12 on a GPU" in line]
    assert "0.92, 0.900 [0.800, 0.950]" in claim
    assert "-, 0.900 [0.800, 0.950]" in claim
    assert claim.endswith("| 12 on a GPU, 0.5 |")
    assert "| five-layer-cnn-brain-mri | 9 | 0.88 (1.00) | - |" in lines
    assert "Without a model: ensemble." in lines
    assert any("a minus b" in line and "0.25" in line for line in lines)
    assert "| AutoX | 0.99 | 0.9 | literature |" in lines


def test_undefined_figures_are_a_dash():
    assert interval({"estimate": None, "low": None, "high": None}) == "-"
