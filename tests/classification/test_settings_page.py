"""The page of settings is what the code says; run this file to write it anew."""

import dataclasses
import inspect
import re
from collections.abc import Iterator
from pathlib import Path

from medseal.classification.config import _DERIVED, _SECTIONS, TrainConfig
from medseal.protection.encryption.cnn import analog_config, analog_plan
from medseal.protection.tamper.blind import config as blind
from medseal.protection.tamper.blind import networks as blind_networks
from medseal.protection.tamper.reference import config as reference
from medseal.protection.watermark import config as watermark
from medseal.protection.watermark import networks as watermark_networks

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "training-settings.md"
# Other parts read files of their own, with sections of the same names.
_OTHERS: dict[str, tuple[type, dict[str, type]]] = {
    watermark.METHOD: (
        watermark.WatermarkConfig,
        {"network": watermark_networks.NetworkConfig, "train": watermark.FitConfig},
    ),
    reference.METHOD: (
        reference.ReferenceConfig,
        {"network": reference.NetworkConfig, "train": reference.FitConfig},
    ),
    blind.METHOD: (
        blind.BlindConfig,
        {"network": blind_networks.NetworkConfig, "train": blind.FitConfig},
    ),
    analog_config.METHOD: (
        analog_config.AnalogConfig,
        {"network": analog_plan.NetworkConfig, "train": analog_config.FitConfig},
    ),
}
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
    for method, (whole, sections) in _OTHERS.items():
        lines += ["", f"## Method `{method}`", "", "No other setting or section than these."]
        lines += ["", *rows(whole, without=tuple(sections))]
        for name, kind in sections.items():
            lines += ["", f"### `[{name}]` of `{method}`", "", *rows(kind)]
    return "\n".join(lines) + "\n"


def test_every_setting_is_described() -> None:
    others = [kind for whole, sections in _OTHERS.values() for kind in (whole, *sections.values())]
    for kind in (TrainConfig, *_SECTIONS.values(), *others):
        assert set(described(kind)) >= {field.name for field in dataclasses.fields(kind)}, kind


def test_the_page_is_current() -> None:
    assert PAGE.read_text() == page(), f"run: python {Path(__file__).relative_to(PAGE.parents[2])}"


if __name__ == "__main__":
    PAGE.write_text(page())
