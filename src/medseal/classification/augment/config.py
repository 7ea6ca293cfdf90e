"""How far training images are changed: one setting for each operation, most of them off."""

from dataclasses import dataclass, fields
from typing import Any, cast, get_args

from medseal.classification.augment.geometry import Fill, Geometry
from medseal.errors import ConfigurationError

__all__ = ["AugmentConfig"]

Pair = tuple[float, float]
_OFF: Pair = (0.0, 0.0)
# Range of the second number of each pair.
_STRENGTHS: dict[str, tuple[float, float]] = {
    "translation": (0, 0.5),
    "shear": (0, 0.5),
    "resized_crop": (0.05, 1),
    "elastic": (0, 0.2),
    "sequence": (0, 1),
    "retinopathy": (0, 1),
    "fourier_mix": (0, 1),
    "histogram_match": (0, 1),
    "bias_field": (0, 2),
    "vignette": (0, 1),
    "blur": (0, 0.1),
    "sharpen": (0, 5),
    "resolution": (0.05, 1),
    "noise": (0, 0.5),
    "gamma": (0, 2),
    "brightness": (0, 1),
    "contrast": (0, 2),
    "curve": (0, 1),
    "white_balance": (0, 1),
    "channel_gamma": (0, 1),
    "saturation": (0, 2),
    "hue": (0, 0.5),
    "disc_mask": (0, 0.9),
    "border": (0, 0.45),
    "crop_margin": (0, 0.45),
    "marks": (0, 0.3),
    "jpeg": (0, 1),
    "erase": (0, 1),
    "mixup": (0, 10),
    "cutmix": (0, 10),
}
_PROBABILITIES = ("share", "vertical_flip", "turn", "invert", "lesion", "lesion_spots")
# On every card; a later setting stands on a card only where it is not at its default.
_ALWAYS = ("share", "rotation_degrees", "zoom", "flip")


@dataclass(frozen=True, slots=True, kw_only=True)
class AugmentConfig:
    """How far training images are changed.

    The first four are always meant; each of the others is off by default. A pair is (probability
    of an image to be changed, strength); what the strength means stands with the function of the
    same name.

    Attributes
    ----------
    share
        Part of the images that is rotated and zoomed, in [0, 1]. Both interpolate and so blur
        slightly: a network that never sees a sharp image errs on them.
    rotation_degrees
        Largest angle to either side.
    zoom
        Largest relative change of size; 0.1 draws from 0.9 to 1.1.
    flip
        Whether every second image, drawn at random, is mirrored left to right.
    vertical_flip, turn, translation, shear, resized_crop, elastic
        Of `medseal.classification.augment.geometry`; the first two are probabilities, `turn` of a
        rotation by any angle.
    fill
        What stands where those left no image: ``black``, ``edge`` or ``mirror``.
    lesion, lesion_spots
        Of `medseal.classification.augment.lesion`: probabilities that an image of the first class
        gets a lesion and the second label, or small spots and keeps its label. Square grey images.
    sequence
        Of the file of that name, for images of a head.
    retinopathy
        Of `medseal.classification.augment.retina`: probabilities that an image of the first class
        gets lesions and the second label, and that one of the second is replaced by a drawn one.
    fourier_mix, histogram_match
        Of `medseal.classification.augment.mixing`.
    bias_field, vignette, blur, sharpen, resolution, noise, jpeg
        Of `medseal.classification.augment.acquisition`.
    gamma, brightness, contrast, curve, invert
        Of `medseal.classification.augment.intensity`; `invert` is a probability.
    white_balance, channel_gamma, saturation, hue
        Of `medseal.classification.augment.colour`; for images of three channels.
    disc_mask, crop_margin, border, marks, erase
        Of `medseal.classification.augment.framing`.
    mixup, cutmix
        Of `medseal.classification.augment.mixing.mix_labels`: probability of a batch, alpha.

    Raises
    ------
    ConfigurationError
        A share or probability outside [0, 1], an angle outside [0, 180], a zoom outside [0, 0.9],
        or a strength out of its range.
    """

    share: float = 0.5
    rotation_degrees: float = 15.0
    zoom: float = 0.1
    flip: bool = True
    vertical_flip: float = 0.0
    turn: float = 0.0
    translation: Pair = _OFF
    shear: Pair = _OFF
    resized_crop: Pair = (0.0, 1.0)
    elastic: Pair = _OFF
    fill: str = "black"
    lesion: float = 0.0
    lesion_spots: float = 0.0
    sequence: Pair = _OFF
    retinopathy: Pair = _OFF
    fourier_mix: Pair = _OFF
    histogram_match: Pair = _OFF
    bias_field: Pair = _OFF
    vignette: Pair = _OFF
    blur: Pair = _OFF
    sharpen: Pair = _OFF
    resolution: Pair = (0.0, 1.0)
    noise: Pair = _OFF
    gamma: Pair = _OFF
    brightness: Pair = _OFF
    contrast: Pair = _OFF
    curve: Pair = _OFF
    invert: float = 0.0
    white_balance: Pair = _OFF
    channel_gamma: Pair = _OFF
    saturation: Pair = _OFF
    hue: Pair = _OFF
    disc_mask: Pair = _OFF
    crop_margin: Pair = _OFF
    border: Pair = _OFF
    marks: Pair = _OFF
    jpeg: Pair = _OFF
    erase: Pair = _OFF
    mixup: Pair = _OFF
    cutmix: Pair = _OFF

    def __post_init__(self) -> None:
        for name in _PROBABILITIES:
            _check(name, getattr(self, name), 0, 1)
        _check("rotation_degrees", self.rotation_degrees, 0, 180)
        _check("zoom", self.zoom, 0, 0.9)  # a factor of 0 has no inverse
        for name, (low, high) in _STRENGTHS.items():
            pair = getattr(self, name)
            if len(pair) != 2:  # noqa: PLR2004  # probability and strength
                raise ConfigurationError(f"{name} must be [probability, strength]")
            _check(f"the probability of {name}", pair[0], 0, 1)
            _check(f"the strength of {name}", pair[1], low, high)
        for name in ("mixup", "cutmix"):
            if getattr(self, name)[0] and not getattr(self, name)[1]:
                raise ConfigurationError(f"the strength of {name} must be above 0")
        _check(
            "the probabilities of mixup and cutmix together", self.mixup[0] + self.cutmix[0], 0, 1
        )
        if self.fill not in get_args(Fill):
            raise ConfigurationError(f"fill must be one of {', '.join(get_args(Fill))}")

    @property
    def geometry(self) -> Geometry:
        """The settings that `warp` joins in one interpolation."""
        return Geometry(
            turn=self.turn,
            translation=self.translation,
            shear=self.shear,
            resized_crop=self.resized_crop,
            elastic=self.elastic,
            fill=cast(Fill, self.fill),
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as they stand on a card: later ones only where they change anything."""
        return {
            field.name: list(value) if isinstance(value, tuple) else value
            for field in fields(self)
            for value in [getattr(self, field.name)]
            if field.name in _ALWAYS or value != field.default
        }


def _check(name: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise ConfigurationError(f"{name} must lie in [{low:g}, {high:g}]")
