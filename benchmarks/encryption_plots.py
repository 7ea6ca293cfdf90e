"""Pictures of the encryption benchmark: how far each attack got on each cipher."""

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from medseal.protection.encryption.cipher_image import NO_CLAIM

__all__ = ["draw"]

_CEILING = 300.0


def _least(result: Any) -> Iterator[float]:
    if isinstance(result, Mapping):
        if "p_value" in result:
            yield float(result["p_value"])
        else:
            for value in result.values():
                yield from _least(value)


def draw(result: Mapping[str, Any], folder: Path) -> Path:
    """Write ``encryption_attacks.png``: minus the logarithm of the least p-value of each attack.

    Parameters
    ----------
    result
        Of the benchmark, with its part ``suite``.
    folder
        Made where it is missing.
    """
    import matplotlib as mpl  # noqa: PLC0415  only where plots are drawn

    mpl.use("Agg")
    from matplotlib import pyplot  # noqa: PLC0415

    attacks = result["suite"]["attacks"]
    ciphers = list(attacks)
    names = [
        name
        for name in dict.fromkeys(name for row in attacks.values() for name in row)
        if any(list(_least(row.get(name))) for row in attacks.values())
    ]
    strength = [
        [
            min(
                -math.log10(max(min(_least(attacks[cipher].get(name)), default=1.0), 1e-300)),
                _CEILING,
            )
            for name in names
        ]
        for cipher in ciphers
    ]
    figure, axes = pyplot.subplots(figsize=(1.1 * len(names) + 5, 0.34 * len(ciphers) + 2.4))
    shown = axes.imshow([[min(each, 12) for each in row] for row in strength], cmap="Reds")
    axes.set_xticks(range(len(names)), names, rotation=35, ha="right")
    axes.set_yticks(range(len(ciphers)), ciphers)
    for down, row in enumerate(strength):
        for across, value in enumerate(row):
            axes.text(across, down, f"{value:.0f}", ha="center", va="center", fontsize=7)
    figure.colorbar(shown, label="-log10 of the least p-value, 12 and above alike")
    axes.set_title(f"Attacks that got somewhere\n{NO_CLAIM.partition(':')[0]}", fontsize=9)
    figure.tight_layout()
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "encryption_attacks.png"
    figure.savefig(path, dpi=110)
    pyplot.close(figure)
    return path
