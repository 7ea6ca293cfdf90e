"""Plans of the three restoration networks: steps that PyTorch trains and OpenVINO runs.

No security claim rests on a learned method: confidentiality and integrity come from the sealed
package around it.
"""

from dataclasses import dataclass
from typing import Literal

from medseal.errors import ConfigurationError

__all__ = ["MAPS", "Convolution", "Move", "NetworkConfig", "Step", "plan_of"]

# Maps that `analog_features` makes, before two by two places become channels.
MAPS = 5
_FOLDED = 4
_BACKBONES = ("unet", "resnet", "autoencoder")
_MOST_WIDTH, _MOST_DEPTH = 256, 16

# "keep" puts the maps aside; "add" and "join" take back what was put aside last, and add it or put
# it beside; "double" repeats each place two by two; "spread" makes of four channels four places.
Move = Literal["keep", "add", "join", "double", "spread"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Convolution:
    """3 x 3, with bias.

    Attributes
    ----------
    inputs, outputs
        Channels.
    stride
        1, or 2 to halve the sides.
    active
        Whether negative results become 0.
    """

    inputs: int
    outputs: int
    stride: int = 1
    active: bool = True


Step = Convolution | Move


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkConfig:
    """Table ``network``.

    Attributes
    ----------
    backbone
        ``unet``, ``resnet`` or ``autoencoder``.
    width
        Channels at half the sides of the image.
    depth
        Residual blocks of the resnet; the unet halves the sides twice more, the autoencoder once.

    Raises
    ------
    ConfigurationError
        The backbone is unknown, or a number out of range.
    """

    backbone: str = "unet"
    width: int = 32
    depth: int = 4

    def __post_init__(self) -> None:
        if self.backbone not in _BACKBONES:
            raise ConfigurationError(f"[network] backbone is one of {', '.join(_BACKBONES)}")
        if not 1 <= self.width <= _MOST_WIDTH or not 1 <= self.depth <= _MOST_DEPTH:
            raise ConfigurationError(
                f"[network] width is 1 to {_MOST_WIDTH} and depth 1 to {_MOST_DEPTH}"
            )


def _last(width: int) -> Convolution:
    return Convolution(inputs=width, outputs=_FOLDED, active=False)


def _unet(width: int) -> list[Step]:
    middle, deep = 3 * width // 2, 2 * width
    return [
        Convolution(inputs=_FOLDED * MAPS, outputs=width),
        Convolution(inputs=width, outputs=width),
        "keep",
        Convolution(inputs=width, outputs=middle, stride=2),
        Convolution(inputs=middle, outputs=middle),
        "keep",
        Convolution(inputs=middle, outputs=deep, stride=2),
        Convolution(inputs=deep, outputs=deep),
        "double",
        Convolution(inputs=deep, outputs=middle),
        "join",
        Convolution(inputs=2 * middle, outputs=middle),
        "double",
        Convolution(inputs=middle, outputs=width),
        "join",
        Convolution(inputs=2 * width, outputs=width),
        _last(width),
    ]


def _resnet(width: int, depth: int) -> list[Step]:
    steps: list[Step] = [Convolution(inputs=_FOLDED * MAPS, outputs=width)]
    for _ in range(depth):
        steps += [
            "keep",
            Convolution(inputs=width, outputs=width),
            Convolution(inputs=width, outputs=width, active=False),
            "add",
        ]
    return [*steps, _last(width)]


def _autoencoder(width: int) -> list[Step]:
    deep = 2 * width
    return [
        Convolution(inputs=_FOLDED * MAPS, outputs=width),
        "keep",
        Convolution(inputs=width, outputs=deep, stride=2),
        Convolution(inputs=deep, outputs=deep),
        Convolution(inputs=deep, outputs=deep),
        Convolution(inputs=deep, outputs=_FOLDED * width),
        "spread",
        "add",
        Convolution(inputs=width, outputs=width),
        _last(width),
    ]


def plan_of(config: NetworkConfig) -> list[Step]:
    """Return the steps: (B, 4 * MAPS, H/2, W/2) to (B, 4, H/2, W/2), for sides H, W of 8 n."""
    if config.backbone == "unet":
        return _unet(config.width)
    if config.backbone == "resnet":
        return _resnet(config.width, config.depth)
    return _autoencoder(config.width)
