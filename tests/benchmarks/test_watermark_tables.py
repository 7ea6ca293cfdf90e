import pytest

from benchmarks.watermark_tables import false_positive_row, page_lines, tables


def records(method, rates, *, psnr_db=45.5, score=None):
    """Return records of ten images; `rates` says how many are read under each condition."""
    found = []
    for image in range(10):
        about = {
            "image": f"skin/{image}",
            "folder": "skin",
            "modality": "skin",
            "is_large": True,
            "method": method,
        }
        found.append(
            {**about, "kind": "mark", "psnr_db": psnr_db, "ssim": 0.995, "embed_seconds": 0.1}
        )
        found += [
            {
                **about,
                "kind": "read",
                "condition": condition,
                "exact": image < count,
                "wrong": False,
                "bits": 1.0 if image < count else 0.5,
                "score": score,
                "unmarked_score": None if score is None else 0.1 * (image % 3),
                "extract_seconds": 0.2,
            }
            for condition, count in rates.items()
        ]
    return found


MEASURED = [
    *records("medseal", {"none": 10, "JPEG 50": 9, "sharpen": 0}, score=0.9),
    *records("block DCT", {"none": 10, "JPEG 50": 10}),
]


def test_rates_have_intervals_and_unseen_conditions_stay_out_of_the_mean():
    methods = tables(MEASURED)["large"]["methods"]
    row = methods["medseal"]["conditions"]["JPEG 50"]["exact_rate"]
    assert row["estimate"] == pytest.approx(0.9)
    assert row["low"] < 0.9 < row["high"]
    assert methods["medseal"]["mean_of_conditions"]["exact_rate"]["estimate"] == pytest.approx(0.95)
    assert methods["medseal"]["mean_under_attack"]["exact_rate"]["estimate"] == pytest.approx(0.9)
    assert methods["medseal"]["presence_auc"] == 1
    assert methods["block DCT"]["presence_auc"] is None


def test_a_condition_where_another_method_reads_more_is_named():
    large = tables(MEASURED)["large"]
    assert large["another_method_reads_more"] == {
        "JPEG 50": {"medseal": pytest.approx(0.9), "block DCT": 1.0}
    }
    assert large["paper"]["measured"]["medseal"]["extraction"] == 1
    assert large["paper"]["claimed"]["CNN watermark"]["extraction"] == 0.97
    assert set(large["medseal_by_modality"]) == {"skin (skin)"}


def test_conditions_below_what_was_asked_are_named():
    asked = tables(MEASURED)["large"]["asked"]
    assert asked["conditions"] == 2
    assert asked["missed_count"] == 1
    assert asked["missed"]["JPEG 50"] == {"asked": 0.97, "measured": pytest.approx(0.9)}


def test_the_product_is_compared_on_the_same_images_and_conditions():
    row = tables(MEASURED)["large"]["paired_with_medseal"]["block DCT"]
    assert row["images"] == 10
    assert row["exact_rate_of_medseal"] == pytest.approx(0.95)
    assert row["medseal_ahead_by"]["estimate"] == pytest.approx(-0.05)


def test_the_page_puts_the_best_of_each_row_in_bold():
    lines = page_lines({"robustness": tables(MEASURED)})
    (row,) = [line for line in lines if line.startswith("| JPEG 50 |")]
    assert row.split(" | ")[1] == "97.0%"
    assert "**100.0%**" in row
    assert "90.0%" in row
    assert page_lines({}) == []


def test_refusals_are_counted_and_do_not_need_a_mark():
    refused = {**MEASURED[0], "kind": "refused", "reason": "InputError: too small"}
    row = tables([refused])["large"]["methods"]["medseal"]
    assert row["refused"] == {"skin/0": "InputError: too small"}
    assert "conditions" not in row


def test_no_hit_in_many_trials_still_has_an_upper_end():
    row = false_positive_row(0, 5000, 1e-8)
    assert row["accepted"] == 0
    assert 0 < row["upper_95"] < 1e-3
