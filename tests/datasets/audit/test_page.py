from dataclasses import replace

from medseal.datasets.audit.page import as_page, as_text


def test_text_and_page_show_findings_and_escape_names(confounded_audit):
    done, measured = confounded_audit
    text = as_text(done)
    assert "PROBLEM: the label can be read from the file header alone" in text
    assert "    next: " in text
    hostile = replace(done, data_set="<script>alert(1)</script>")
    page = as_page(hostile, measured)
    assert "<script>" not in page
    assert "data:image/png;base64," in page
    assert "http" not in page.replace("http-equiv", "")


def test_clean_text_says_so(clean_audit):
    assert as_text(clean_audit[0]).endswith("no finding")
