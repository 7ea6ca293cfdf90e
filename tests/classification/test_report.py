from html.parser import HTMLParser

import pytest

from medseal.classification import load_folder
from medseal.classification.evaluation import examine, summary
from medseal.classification.report import ReportSettings, render, write_report
from medseal.classification.robustness import robustness
from medseal.errors import ConfigurationError, StorageError

SMALL = ReportSettings(explained_images=2, pictures=1)
NOTHING = ReportSettings(explained_images=0)


class Page(HTMLParser):
    """Collect headings, image sources and links of a page."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.addresses = [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.addresses += [value for name, value in attrs if name in ("src", "href")]


@pytest.fixture(scope="module")
def inside(trained, brain_folder):
    found = examine(trained.folder, brain_folder)
    return found, summary(found)


def test_page_stands_alone(inside):
    found, result = inside
    worse = robustness(found.classifier, found.data, found.records[:2])
    text = render(found, {**result, "robustness": worse}, settings=SMALL)
    page = Page(text)
    assert page.addresses
    assert all(address.startswith("data:image/jpeg;base64,") for address in page.addresses)
    assert "script" not in page.tags
    assert page.tags.count("svg") == 1 + 4 + 1 + 7  # bars, answers, matrix, corruptions of grey
    for words in (
        "Not a medical device",
        "images of patients",
        "no other source",
        "Simulated other sites",
        "Where the model looked",
    ):
        assert words in text


def test_what_is_not_wanted_is_not_measured(inside):
    text = render(*inside, settings=NOTHING)
    assert "Simulated other sites" not in text
    assert "Where the model looked" not in text
    assert not Page(text).addresses


def test_headline_figure_stands_on_top(inside):
    found, result = inside
    text = render(found, result, settings=NOTHING)
    figure = f"{result['figures']['balanced_accuracy']['estimate']:.3f}"
    assert text.index(f"<b>{figure}</b>") < text.index("<h2>Figures</h2>")


def test_names_from_outside_are_escaped(inside):
    found, result = inside
    [row] = result["sources"].values()
    hostile = {**result, "sources": {"<img src=x onerror=alert(1)>": row}}
    assert "<img src=x" not in render(found, hostile, settings=NOTHING)


def test_a_model_without_a_network_has_a_page_too(trained_svm, brain_folder):
    assert load_folder(trained_svm.folder).network is None
    found = examine(trained_svm.folder, brain_folder)
    settings = ReportSettings(explained_images=1, pictures=0)
    text = render(found, summary(found), settings=settings)
    assert "shuffled weights" not in text
    assert "Where the model looked" in text


def test_refusals(inside, tmp_path):
    with pytest.raises(ConfigurationError, match="fewer than no images"):
        ReportSettings(pictures=-1)
    with pytest.raises(StorageError, match="name another file"):
        write_report(*inside, tmp_path / "missing" / "page.html", settings=NOTHING)
