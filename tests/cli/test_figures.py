"""Figures for a person: the headline first, intervals in one place, undefined ones in words."""

from medseal.cli.figures import evaluation_lines, figure_lines

NONE = {"estimate": None, "low": None, "high": None}


def interval(value: float) -> dict[str, float]:
    return {"estimate": value, "low": value - 0.1, "high": value + 0.1}


def test_one_line_a_figure() -> None:
    result = {
        "images": 12,
        "figures": {
            "accuracy": {"estimate": 0.97721, "low": 0.95379, "high": 1.0},
            "auroc": NONE,
        },
    }
    assert list(figure_lines(result)) == [
        "  images                         12",
        "  accuracy                       0.977 [0.954, 1.000]",
        "  auroc                          not defined on these images",
    ]


def part(value: float) -> dict[str, object]:
    figures = {
        "accuracy": interval(value),
        "balanced_accuracy": interval(value),
        "auroc": NONE,
    }
    return {
        "images": 9,
        "groups": 4,
        "classes": ["no", "yes"],
        "confusion_matrix": [[4, 1], [1, 3]],
        "abstained": 1,
        "coverage": 8 / 9,
        "accuracy_if_not_abstained": None,
        "figures": figures,
    }


def test_other_sources_come_before_those_of_training() -> None:
    result = {
        "model_id": "m",
        "data_set": "skin",
        "split": "test",
        "headline": "external",
        "held_out": None,
        "held_out_because": "the split is not at hand",
        **part(0.6),
        "inside": part(0.9),
        "sources": {"Far hospital": {**part(0.6), "external": True}},
        "robustness": {
            "images": 4,
            "corruptions": {"blur": [{"balanced_accuracy": 0.5, "coverage": 1.0}] * 6},
            "sites": {"none": {"balanced_accuracy": None, "coverage": 0.25}},
        },
        "per_class": {"no": {"images": 5.0, "sensitivity": 0.8, "auroc": None}},
    }
    lines = list(evaluation_lines(result))
    assert lines[:4] == [
        "m on skin, part test",
        "  balanced accuracy 0.600 [0.500, 0.700] on sources that the model was not trained on "
        "(9 images)",
        "  balanced accuracy 0.900 [0.800, 1.000] on sources that the model was trained on "
        "(9 images)",
        "  held out: not known; the split is not at hand",
    ]
    [source] = [line for line in lines if "Far hospital" in line]
    assert source.endswith(
        "(9 images, other source): accuracy 0.600 [0.500, 0.700]; "
        "balanced_accuracy 0.600 [0.500, 0.700]"
    )
    assert "  no: images 5; sensitivity 0.800; auroc not defined" in lines
    assert "  blur           0.500 0.500 0.500 0.500 0.500 0.500" in lines
    assert "  none           not defined 0.250" in lines
