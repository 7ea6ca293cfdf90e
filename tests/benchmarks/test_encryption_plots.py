from pathlib import Path

from benchmarks.encryption_plots import draw


def test_the_least_p_value_of_each_attack_is_drawn(tmp_path: Path) -> None:
    attacks = {
        "AES-GCM": {"distinguisher": {"a": {"p_value": 0.4}}, "damage": {"none": {"ssim": 1.0}}},
        "AES-ECB": {"distinguisher": {"a": {"p_value": 0.0}, "b": {"p_value": 1e-9}}},
    }
    path = draw({"suite": {"attacks": attacks}}, tmp_path / "plots")
    assert path.name == "encryption_attacks.png"
    assert path.read_bytes().startswith(b"\x89PNG")
