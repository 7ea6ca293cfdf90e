"""The page says what did not go as expected, and escapes what comes from outside."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from medseal.pipeline.demo_record import Decision, Folders, Run, Sealed, Source
from medseal.pipeline.report import render, summary_strip


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run(folders=Folders(output=tmp_path), data=None, started=datetime.now(UTC))


def test_a_failed_expectation_is_on_the_first_screen(run: Run) -> None:
    run.expect("verify", "one value", expected="tampered", found="tampered", held=True)
    assert "Not as expected" not in render(run)
    run.expect("verify", "copy-move", expected="tampered", found="authentic", held=False)
    page = render(run)
    assert "1 of 2 expectations held" in page
    assert page.index("Not as expected") < page.index("Released copies")
    assert "<td>copy-move</td><td>tampered</td><td>authentic</td>" in page


def test_a_wrong_decision_is_marked(run: Run) -> None:
    decision = Decision(who="a", what="b", expected="gone", found="opened", held=False)
    run.decisions.append(decision)
    assert "not as expected" in render(run)


def test_names_of_files_are_escaped(run: Run) -> None:
    name = "<img src=x onerror=alert(1)>.dcm"
    source = Source(file=Path("x"), name=name, kind="damaged")
    run.sealed.append(
        Sealed(source=source, status="failed", image_id=None, description="-", error=f"{name}: bad")
    )
    run.notes.append("<script>alert(1)</script>")
    page = render(run)
    assert "<img src=x" not in page
    assert "<script" not in page
    assert "&lt;img src=x" in page


def test_what_a_run_lacks_is_left_out(run: Run) -> None:
    assert "Nothing was classified" in render(run)
    assert summary_strip(run).startswith(b"\x89PNG")
