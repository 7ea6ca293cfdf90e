import pytest

from medseal.weights.schedule import warm_cosine


def share(step: int) -> float:
    return warm_cosine(step, steps=1000, warm_up_steps=50, last_share=0.02)


def test_the_rate_grows_and_then_falls_to_its_last_share() -> None:
    shares = [share(step) for step in range(1001)]
    assert shares[0] == pytest.approx(1 / 50, rel=1e-3)
    assert max(shares) == pytest.approx(1, abs=0.01)
    assert shares[49:] == sorted(shares[49:], reverse=True)
    assert shares[500] == pytest.approx(0.51)
    assert shares[1000] == pytest.approx(0.02)


def test_beyond_the_end_it_stays() -> None:
    assert share(5000) == share(1000)
