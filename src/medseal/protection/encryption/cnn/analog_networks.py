"""The restoration networks in PyTorch, for training.

No security claim rests on a learned method: confidentiality and integrity come from the sealed
package around it.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from medseal.protection.encryption.cnn.analog_plan import Convolution, NetworkConfig, plan_of

__all__ = ["RestorationNetwork"]


class RestorationNetwork(nn.ModuleList):
    """A plan's convolutions; it begins by changing nothing."""

    def __init__(self, config: NetworkConfig) -> None:
        self._plan = plan_of(config)
        super().__init__(
            nn.Conv2d(step.inputs, step.outputs, 3, stride=step.stride, padding=1)
            for step in self._plan
            if isinstance(step, Convolution)
        )
        with torch.no_grad():
            for parameter in self[-1].parameters():
                parameter.zero_()

    def forward(self, maps: Tensor) -> Tensor:
        """Return the answer: (B, 5, H, W) to (B, 1, H, W); sides are multiples of 8."""
        hidden = functional.pixel_unshuffle(maps, 2)  # (B, 20, H/2, W/2)
        hidden = hidden.contiguous(memory_format=torch.channels_last)
        aside: list[Tensor] = []
        layers = iter(self)
        for step in self._plan:
            if isinstance(step, Convolution):
                hidden = next(layers)(hidden)
                hidden = functional.relu(hidden) if step.active else hidden
            elif step == "keep":
                aside.append(hidden)
            elif step == "add":
                hidden = functional.relu(hidden + aside.pop())
            elif step == "join":
                hidden = torch.cat([hidden, aside.pop()], dim=1)
            elif step == "spread":
                hidden = functional.pixel_shuffle(hidden, 2)
            else:
                hidden = functional.interpolate(hidden, scale_factor=2.0, mode="nearest")
        return functional.pixel_shuffle(hidden, 2)  # (B, 1, H, W)
