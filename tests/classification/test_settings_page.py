"""The page of settings is what the code says; run this file to write it anew."""

import dataclasses
import inspect
import re
from collections.abc import Iterator
from pathlib import Path

from medseal.classification.config import _DERIVED, _SECTIONS, TrainConfig
from medseal.protection.watermark.config import METHOD, FitConfig, WatermarkConfig
from medseal.protection.watermark.networks import NetworkConfig

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "training-settings.md"
# The watermark reads its own file, with sections of the same names.
_WATERMARK = {"network": NetworkConfig, "train": FitConfig}
HEAD = """# Settings of a training run

Made from the code. A file in `configs/` is TOML: the settings of the first table stand at its
top, each further table is a section. What is left out keeps its default; unknown names and wrong
types are refused.
"""


def described(kind: type) -> dict[str, str]:
    """Return the text about each attribute in a docstring."""
    text = inspect.getdoc(kind) or ""
    block = re.split(r"\n\n(?=[A-Z]\w+\n-+\n)", text.split("Attributes\n----------\n")[1])[0]
    found: dict[str, str] = {}
    for names, words in re.findall(r"^(\S.*)\n((?:[ ]+.*(?:\n|$))+)", block, re.MULTILINE):
        sentence = " ".join(words.split()).replace("``", "`")
        found |= dict.fromkeys((name.strip() for name in names.split(",")), sentence)
    return found


def shown(value: object) -> str:
    if value is dataclasses.MISSING:
        return "needed"
    if isinstance(value, tuple):
        return f"`[{', '.join(str(item) for item in value)}]`"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    return f'`"{value}"`' if isinstance(value, str) else f"`{value}`"


def rows(kind: type, *, without: tuple[str, ...] = ()) -> Iterator[str]:
    texts = described(kind)
    yield "| setting | default | meaning |"
    yield "| --- | --- | --- |"
    for field in dataclasses.fields(kind):
        if field.name not in without:
            text = texts[field.name].replace("|", r"\|")
            yield f"| `{field.name}` | {shown(field.default)} | {text} |"


def page() -> str:
    lines = [HEAD, *rows(TrainConfig, without=tuple(_SECTIONS))]
    for name, kind in _SECTIONS.items():
        lines += ["", f"## `[{name}]`", ""]
        lines += rows(kind, without=_DERIVED if name == "network" else ())
    lines += ["", f"## Method `{METHOD}`", "", "No other setting or section than these."]
    lines += ["", *rows(WatermarkConfig, without=tuple(_WATERMARK))]
    for name, kind in _WATERMARK.items():
        lines += ["", f"### `[{name}]` of `{METHOD}`", "", *rows(kind)]
    return "\n".join(lines) + "\n"


def test_every_setting_is_described() -> None:
    for kind in (TrainConfig, *_SECTIONS.values(), WatermarkConfig, *_WATERMARK.values()):
        assert set(described(kind)) >= {field.name for field in dataclasses.fields(kind)}, kind


def test_the_page_is_current() -> None:
    assert PAGE.read_text() == page(), f"run: python {Path(__file__).relative_to(PAGE.parents[2])}"


if __name__ == "__main__":
    PAGE.write_text(page())
