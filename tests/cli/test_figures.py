"""Figures for a person: intervals in one place, undefined ones in words."""

from medseal.cli.figures import figure_lines


def test_one_line_a_figure() -> None:
    result = {
        "images": 12,
        "figures": {
            "accuracy": {"estimate": 0.97721, "low": 0.95379, "high": 1.0},
            "auroc": {"estimate": None, "low": None, "high": None},
        },
    }
    assert list(figure_lines(result)) == [
        "  images               12",
        "  accuracy             0.977 [0.954, 1.000]",
        "  auroc                not defined on these images",
    ]
