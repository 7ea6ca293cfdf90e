import pytest

from benchmarks.tamper_blind_tables import blind_tables
from benchmarks.tamper_calibration import calibration
from benchmarks.tamper_page import glance_lines, page_lines
from benchmarks.tamper_tables import PAPER, tables
from benchmarks.tamper_trials import LESION, SMALLEST

NAMES = ("medseal", "thumbnail 192 + MACs")
BLIND = ("medseal blind", "without removal, skin")


def answer(flagged, *, score=None, abstained=False, f1=None):
    found = {
        "score": float(flagged) if score is None else score,
        "flagged": flagged,
        "abstained": abstained,
        "outcome": "tampered" if flagged else "unverifiable" if abstained else "processed",
        "seconds": 0.05,
    }
    return found if f1 is None else found | {"f1": f1, "iou": f1 / 2}


def row(image, handling, *, family="", size=(0, 0.0), methods):
    groups = {"none": "none", "turn": "turn", "CLAHE": "beyond"}
    return {
        "image": f"skin/{image}",
        "trial": f"{family}/{handling}",
        "kind": "edit" if family else "benign",
        "modality": "skin",
        "folder": "skin",
        "family": family,
        "handling": handling,
        "group_of_handling": groups.get(handling, "compression"),
        "processing": groups.get(handling, "JPEG"),
        "named": handling == "JPEG 70",
        "in_sequence": False,
        "extent": size[0],
        "contrast": size[1],
        "methods": methods,
        "record_bytes": {"medseal": 4000, "thumbnail 192 + MACs": 12000},
    }


def rows():
    found = []
    for image in range(10):
        clean = {name: answer(False) for name in (*NAMES, *BLIND)}
        alarm = clean | {"thumbnail 192 + MACs": answer(image < 2)}
        hit = {name: answer(True, f1=0.8) for name in (*NAMES, *BLIND)}
        missed = hit | {"medseal": answer(image > 0, f1=0.8 * (image > 0), abstained=image == 0)}
        found += [
            row(image, "turn", methods=clean),
            row(image, "JPEG 70", methods=alarm),
            row(image, "CLAHE", methods={name: answer(True) for name in NAMES}),
            row(image, "none", family=SMALLEST, size=(1, 0.01), methods=hit),
            row(image, "none", family="removal", size=(30, 0.4), methods=hit),
            row(image, "JPEG 70", family="removal", size=(30, 0.4), methods=missed),
            row(image, "JPEG 70", family=LESION, size=(9, 0.1), methods=hit),
        ]
    return found


TABLE = tables(rows(), NAMES)
OPINIONS = blind_tables(rows(), BLIND)
RESULT = {"trials": {"with_record": TABLE, "blind": OPINIONS}}


def line(text):
    return TABLE["asked"][text]


def test_each_line_counts_its_copies_and_says_whether_it_is_met():
    exact = line("lossless transcodes, quarter turns, flips flagged")
    assert (exact["reached"], exact["methods"]["medseal"]["trials"]) == (True, 10)
    benign = line("all benign operations flagged")
    assert benign["methods"]["medseal"]["count"] == 0
    assert benign["methods"]["medseal"]["upper_95"] == pytest.approx(1 - 0.05 ** (1 / 20))
    assert benign["methods"]["thumbnail 192 + MACs"]["count"] == 2
    strong = line("edits of 8 px and 20 % of the range or more, then named processing, caught")
    assert strong["methods"]["medseal"]["count"] == 9
    assert strong["methods"]["medseal"]["trials"] == 10
    assert strong["reached"] is False
    assert line("lesion of 5 px, then lossy, caught")["reached"] is True
    assert line("texture, then lossy, caught")["reached"] is None


def test_an_abstention_counts_as_a_miss_and_apart():
    # Seven records an image, of which one lies beyond what is benign.
    abstained = line("abstentions")["methods"]["medseal"]
    assert (abstained["count"], abstained["trials"]) == (1, 60)
    assert TABLE["by_family"]["removal"]["JPEG"] == {"trials": 10, "flagged": 9, "abstained": 1}
    assert TABLE["outcomes"]["edit, lossy"] == {"tampered": 19, "unverifiable": 1}


def test_operations_that_a_report_names_are_counted():
    clean = answer(False) | {"operations": ["re-encoded with losses"]}
    told = row(0, "JPEG 70", methods={"medseal": clean})
    silent = row(1, "JPEG 70", methods={"medseal": answer(False)})
    found = tables([told, silent], ["medseal"])["operations"]
    assert found == {"JPEG": {"copies": 2, "named": 1}}


def test_what_goes_beyond_is_in_no_table_but_its_own():
    assert TABLE["about"]["benign"] == 20
    assert TABLE["overall"]["medseal"]["benign_flagged"]["estimate"] == 0
    assert TABLE["beyond"]["benign_by_handling"]["CLAHE"]["flagged"] == 10


def test_figures_over_everything_and_beside_the_paper():
    own = TABLE["overall"]["medseal"]
    assert own["edits_caught"]["estimate"] == pytest.approx(39 / 40)
    assert own["balanced_accuracy"]["estimate"] == pytest.approx((39 / 40 + 1) / 2)
    assert own["unprocessed_edits_caught"] == 1
    assert own["f1"] == pytest.approx(0.8 * 39 / 40)
    assert TABLE["paper"]["claimed"] == dict(PAPER)
    assert TABLE["paper"]["measured"]["caught after JPEG"] == pytest.approx(19 / 20)
    assert TABLE["paper"]["measured"]["caught after rotation"] is None


def test_a_blind_opinion_is_not_asked_for_one_level_and_held_out_kinds_have_lines():
    assert OPINIONS["about"]["unprocessed_edits"] == 10
    assert OPINIONS["asked"]["AUROC, unseen patients"]["reached"] is True
    family = OPINIONS["asked"]["AUROC, a family never trained on: removal"]
    assert list(family["methods"]) == ["without removal, skin"]
    assert family["least"] == 0.8
    assert OPINIONS["asked"]["AUROC, a modality never trained on: skin"]["reached"] is True


def test_the_page_shows_both_apart():
    text = "\n".join(page_lines(RESULT))
    assert (
        "| all benign operations flagged | at most 0.005 | 0.0% [0.0%, 16.8%], 0 of 20 | met |"
        in text
    )
    assert "### Without a record" in text
    assert "90% of 10, 1 undecided" in text
    glance = list(glance_lines(RESULT))
    assert any(
        row.startswith("| tamper check: abstentions | at most 0.01 | 0.01667 |") for row in glance
    )
    assert page_lines({}) == list(glance_lines({})) == []


def test_no_record_gives_no_table():
    assert tables([], NAMES) == {}
    assert blind_tables(rows(), ["other"]) == {}


def test_calibration_shows_benign_quantiles_and_the_edits_above_them():
    found = calibration(rows())["thumbnail 192 + MACs"]
    assert found["benign_quantiles"]["0.5"] == 0
    assert found["benign_quantiles"]["1.0"] == 1
    assert found["processed_edits_above"]["0.5"] == 1
    assert found["benign_by_handling"]["JPEG 70"]["flagged"] == 2
    assert found["highest_benign"][0]["score"] == 1
