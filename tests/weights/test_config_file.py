from dataclasses import dataclass
from pathlib import Path

import pytest

from medseal.errors import ConfigurationError
from medseal.weights.config_file import MAX_CONFIG_BYTES, read_run_settings

TEXTS = "\n".join(
    f'{name} = "{value}"'
    for name, value in {
        "id": "tiny",
        "version": "1",
        "task": "test",
        "modality": "any",
        "method": "made-up",
        "limits": "none",
    }.items()
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    channels: tuple[int, ...] = (1, 2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    steps: int = 3
    rate: float = 0.5


def settings(folder: Path, text: str) -> dict[str, object]:
    path = folder / "run.toml"
    path.write_text(text)
    return read_run_settings(path, method="made-up", network=Network, train=Fit)


def test_what_is_left_out_keeps_its_default(tmp_path: Path) -> None:
    found = settings(tmp_path, TEXTS)
    assert (found["network"], found["train"]) == (Network(), Fit())
    assert (found["default"], found["initial"]) == (False, "")


def test_lists_are_tuples_and_whole_numbers_may_stand_for_floats(tmp_path: Path) -> None:
    text = (
        f'{TEXTS}\ndefault = true\ninitial = "base"\n[network]\nchannels = [4]\n[train]\nrate = 2'
    )
    found = settings(tmp_path, text)
    assert found["network"] == Network(channels=(4,))
    assert found["train"] == Fit(rate=2)
    assert (found["default"], found["initial"]) == (True, "base")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("not TOML", "run.toml"),
        ("#" * (MAX_CONFIG_BYTES + 1), "at most"),
        (TEXTS.replace('limits = "none"', ""), "texts are missing: limits"),
        (TEXTS.replace("made-up", "other"), "method is made-up"),
        (f"{TEXTS}\nspeed = 1", "unknown settings: speed"),
        (f"{TEXTS}\ninitial = 3", "initial is a model id"),
        (f"{TEXTS}\ntrain = 3", r"\[train\] is a table"),
        (f"{TEXTS}\n[train]\nspeed = 3", r"\[train\] has no setting speed"),
        (f"{TEXTS}\n[train]\nsteps = 1.5", r"\[train\] steps is of type int"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        settings(tmp_path, text)
