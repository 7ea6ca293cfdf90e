from benchmarks.encryption_page import TABLES, glance_lines, page_lines
from medseal.protection.encryption.cipher_image import NO_CLAIM

CHANNEL = {"images": 2, "refused": 0, "psnr_db": 100.0, "exact_share": 1.0, "ssim": 1.0}
ATTACKS = {
    "AES-GCM": {
        "distinguisher": {"a": {"accuracy": 0.51, "p_value": 0.3}},
        "known plaintext": {"ridge": {"psnr_db": 14.0, "gain_db": -1.0, "p_value": 1.0}},
        "recognition": {"values": {"found": 0.02, "p_value": 0.4}},
        "key avalanche": {"trials": 4, "refused": 4, "p_value": 1.0},
        "nonce misuse": {
            "possible": True,
            "xor": {"exact_share": 1.0},
            "difference": {"exact_share": 0.1},
        },
        "size": {"bytes_a_value": 1.02, "correlation": 0.0},
        "damage": {"none": CHANNEL, "JPEG 70": {"images": 2, "refused": 2}},
        "diffusion": {
            "npcr": {"p_value": 0.0, "accept": {"is_accepted": False}},
            "npcr_percent": {"mean": 0.098, "least": 0.098},
        },
    },
    "AES-CTR": {
        "damage": {"none": CHANNEL, "JPEG 70": {**CHANNEL, "psnr_db": 15.1, "exact_share": 0}}
    },
}
RESULT = {
    "claim": NO_CLAIM,
    "suite": {
        "attacks": ATTACKS,
        "verdicts": {
            "alpha": 1e-6,
            "tests": 1234,
            "not_as_they_must_count": 1,
            "ciphers": {
                "AES-GCM": {
                    "kind": "sound",
                    "verdict": "not broken by this suite",
                    "broken_by": {},
                    "tests": 20,
                    "least_p_value": 0.003,
                }
            },
        },
    },
    "learned": {
        "claimed": {
            "psnr_db": 30.2,
            "ssim": 0.9,
            "decrypt_seconds": 1.5,
            "training_hours": 4.0,
        },
        "psnr_db": {"mean": 27.0, "least": 20.0},
        "ssim": {"mean": 0.8, "least": 0.5},
        "decrypt_seconds_512x512": 0.05,
        "training_seconds": 360.0,
    },
    "rounds": {"unet, 8 bits, whitened": {"1": {"npcr_percent": 44.0, "accepted": False}}},
}


def test_the_page_shows_claims_verdicts_and_damage() -> None:
    text = "\n".join(page_lines(RESULT))
    assert NO_CLAIM in text
    assert "| AES-GCM | sound | not broken by this suite |  | 20 | 0.003 |" in text
    assert "| AES-GCM | exact | refused |" in text
    assert "| AES-CTR | exact | 15.1 |" in text
    assert "refused 4 of 4" in text
    assert "| CNN cipher: decryption, s | 1.5 | 0.050 |" in text
    assert "AES-CTR 15.1; AES-GCM refuses 2 of 2" in text
    assert "| unet, 8 bits, whitened | 44.00 no |" in text
    assert "| AES-GCM |  | 0.098 | 0 of 1 |" in text


def test_every_table_row_has_as_many_cells_as_its_head() -> None:
    lines = "\n".join(page_lines(RESULT)).split("\n")
    cells = 0
    for before, line in zip(["", *lines], lines, strict=False):
        if line.startswith("|"):
            cells = line.count("|") if not before.startswith("|") else cells
            assert line.count("|") == cells, line


def test_the_summary_counts_wrong_verdicts() -> None:
    assert list(glance_lines(RESULT)) == [
        "| ciphers judged other than they must be | at most 0 | 1 | not met |"
    ]
    assert list(glance_lines({})) == []
    assert page_lines({}) == []
    assert {"suite", "costs"} <= TABLES
