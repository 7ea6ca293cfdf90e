import dataclasses

import numpy as np
import pytest

from medseal.classification.charts import evaluation_charts, robustness_charts, source_bars
from medseal.classification.evaluation import examine, summary
from medseal.classification.robustness import SEVERITIES


@pytest.fixture(scope="module")
def inside(trained, brain_folder):
    found = examine(trained.folder, brain_folder, split="all")
    return found, summary(found)


def test_one_line_for_each_kind_of_source(inside):
    found, result = inside
    charts, matrices = evaluation_charts(found, result)
    assert [chart["title"] for chart in charts] == [
        "ROC",
        "Precision over recall",
        "Reliability",
        "Risk over coverage",
    ]
    assert all(chart["names"] == ["sources of training"] for chart in charts)
    assert [chart["title"] for chart in matrices] == ["Decisions, sources of training"]
    numbers = np.array(result["confusion_matrix"]).ravel()
    assert all(f">{number}</text>" in matrices[0]["svg"] for number in numbers)


def test_other_sources_get_their_own_line_and_matrix(inside):
    found, result = inside
    roles = ("external",) * 30 + found.roles[30:]
    both = type(found)(
        **{name: getattr(found, name) for name in found.__slots__ if name != "roles"}, roles=roles
    )
    charts, matrices = evaluation_charts(both, summary(both))
    assert charts[0]["names"] == ["other sources", "sources of training"]
    assert [chart["title"] for chart in matrices] == [
        "Decisions, other sources",
        "Decisions, sources of training",
    ]
    assert result["headline"] == "inside"


def test_bars_fall_back_to_accuracy_where_one_class_is_missing():
    defined = {"estimate": 0.8, "low": 0.7, "high": 0.9}
    missing = {"estimate": None, "low": None, "high": None}
    rows = {
        "sources": {
            "Here": {"figures": {"balanced_accuracy": defined, "accuracy": missing}},
            "There": {
                "external": True,
                "figures": {"balanced_accuracy": missing, "accuracy": {**defined, "estimate": 0.6}},
            },
        }
    }
    svg = source_bars(rows)
    assert ">0.800</text>" in svg
    assert ">0.600</text>" in svg
    assert 'class="bar s1"' in svg


def test_a_chart_for_each_corruption():
    row = {"balanced_accuracy": 0.5, "accuracy_if_not_abstained": None, "coverage": 1.0}
    names, charts = robustness_charts({"blur": [row] * len(SEVERITIES)})
    assert len(names) == 3
    [chart] = charts
    assert chart["title"] == "blur"
    assert chart["svg"].count("<polyline") == 2  # the undefined figure draws nothing


def test_several_classes_have_a_line_each(inside):
    found, _ = inside
    classes = ("normal", "benign", "malignant")
    labels = np.arange(len(found.records)) % 3
    rows = np.eye(3)[labels] * 0.5 + 1 / 6
    card = dataclasses.replace(found.classifier.card, classes=classes)
    three = dataclasses.replace(
        found,
        classifier=dataclasses.replace(found.classifier, card=card),
        outcome=dataclasses.replace(
            found.outcome, labels=labels, probabilities=rows, predicted=labels
        ),
    )
    result = summary(three)
    charts, [matrix] = evaluation_charts(three, result)
    assert charts[0]["names"] == list(classes)
    assert charts[2]["names"] == ["sources of training"]
    assert matrix["svg"].count("<rect") == 9
    assert set(result["per_class"]) == set(classes)
    assert result["figures"]["auroc"]["estimate"] == 1
