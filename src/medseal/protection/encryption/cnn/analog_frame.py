"""One frame of an analog cipher image: sealed from its values, opened as far as it was spared.

No security claim rests on a learned method: confidentiality and integrity come from the sealed
package around it.
"""

import hmac
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medseal.protection.encryption.cnn.analog_carrier import (
    LEVELS,
    POINT_DISTANCE,
    Carrier,
    bits_of,
    bytes_of,
    log_likelihoods,
    points_of,
)
from medseal.protection.encryption.cnn.analog_coarse import Codestream, compress
from medseal.protection.encryption.cnn.analog_layout import Layout, Part, layout_of
from medseal.protection.encryption.cnn.analog_noise import (
    Channel,
    blank_areas,
    kept_of,
    loud_channel,
    point_densities,
    read_channel,
)
from medseal.protection.encryption.cnn.analog_payload import (
    BASE_BYTES,
    DETAIL_BYTES,
    Base,
    Detail,
    Tagger,
)
from medseal.protection.encryption.cnn.analog_residual import (
    code_of_factor,
    factor_of_code,
    gain_code_of,
    heard,
    restored,
    shifts,
)
from medseal.protection.encryption.cnn.analog_shape import Shape

__all__ = ["FrameKeys", "Opened", "coarse_pictures", "open_frame", "seal_frame"]

Floats = NDArray[np.float32]
Levels = NDArray[Any]

_HALF = LEVELS // 2
_ITERATIONS = 40
# Of a word with a few wrong bits that the decoder cannot leave, it often leaves others at another
# scale.
_CONFIDENCES = (1.0, 0.6, 0.4)
_LEAST_SPREAD = 2.0
_LEAST_ERROR = 0.25
# Too few pixels to tell random levels from an area without them.
_FEW_CELLS = 128


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FrameKeys:
    """Carrier and tagger of one frame."""

    carrier: Carrier
    tagger: Tagger

    @classmethod
    def of(cls, key: bytes, nonce: bytes, *, frame: int, cells: int) -> "FrameKeys":
        """Return the keyed secrets of a frame."""
        return cls(
            carrier=Carrier.of(key, nonce, frame=frame, cells=cells),
            tagger=Tagger.of(key, nonce, frame),
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Opened:
    """What came back of a frame; planes of (samples * rows, columns).

    Attributes
    ----------
    layer
        ``clean``: no value of the frame was disturbed, `picture` is final. ``detail``: the whole
        coarse picture. ``base``: only the base of it. ``none``: the image has none, or nothing
        was read.
    picture
        Levels; zeros where nothing was read.
    error
        Standard deviation of the image about the picture, in levels.
    residual, weight
        What is heard of the rest in levels, unbiased, and how far each value came through: 0 to 1.
    noise
        Standard deviation of the residual's noise in levels.
    channel_noise
        The same of the pixels that travelled.
    lost_share
        Of the pixels.
    """

    layer: str
    picture: Floats
    error: float
    residual: Floats
    weight: Floats
    noise: float
    channel_noise: float
    lost_share: float


def _hashed(stack: Levels) -> bytes:
    return np.ascontiguousarray(stack, "<u4").tobytes()


def coarse_pictures(stack: Levels, shape: Shape) -> tuple[Levels, Levels] | None:
    """Return the pictures that the base alone and the whole coarse picture give of a frame.

    None where the frame is too small to hold a base. Parameters as for `seal_frame`.
    """
    layout = layout_of(shape.cells)
    if layout.base is None or layout.detail is None:
        return None
    stream = _compressed(stack, shape, layout)
    if stream.base_bytes == 0:
        return None
    base = shape.picture(stream.packets[: stream.base_bytes], 1)
    return base, shape.picture(stream.packets, 2)


def _compressed(stack: Levels, shape: Shape, layout: Layout) -> Codestream:
    base, detail = layout.base, layout.detail
    return compress(
        shape.coded(stack),
        base_bytes=base.message_bytes - BASE_BYTES if base else 0,
        detail_bytes=detail.message_bytes - DETAIL_BYTES if detail else 0,
    )


def seal_frame(stack: Levels, shape: Shape, keys: FrameKeys) -> NDArray[np.uint8]:
    """Return the frame that travels: planes below one another, (samples * rows, columns).

    Parameters
    ----------
    stack
        Values of 0 to `shape.white`, planes below one another.
    shape
        Of the frame.
    keys
        Its secrets.
    """
    layout = layout_of(shape.cells)
    content = np.zeros(layout.cells, np.int64)
    detail = layout.detail
    if detail is None:
        content[layout.residual_cells()] = np.rint(stack.reshape(-1) * shape.plain_gain)
        return keys.carrier.sent(content).reshape(shape.stacked)
    stream = _compressed(stack, shape, layout)
    split = stream.base_bytes
    coarse = shape.picture(stream.packets, 2 if split else 1)
    residual = stack.astype(np.int64) - coarse
    gain_code = gain_code_of(residual)
    shift = shifts(residual, factor_of_code(gain_code))
    clean = restored(coarse, shift, factor_of_code(gain_code), white=shape.white)
    power = min(round(float(np.mean(np.square(shift, dtype=np.float64))) * LEVELS), 0xFFFF)
    message = keys.tagger.write_detail(
        Detail(
            clean_tag=keys.tagger.tag(b"clean", _hashed(clean)),
            clean_code=_error_code(stack, clean),
            gain_code=gain_code,
            power=power,
            packets=stream.packets[split:],
        ),
        detail.message_bytes,
    )
    _put(content, detail, message)
    if layout.base is not None:
        base = _base(stack, shape, stream.packets[:split])
        _put(content, layout.base, keys.tagger.write_base(base, layout.base.message_bytes))
    content[layout.residual_cells()] += shift.reshape(-1)
    return keys.carrier.sent(content).reshape(shape.stacked)


def _base(stack: Levels, shape: Shape, packets: bytes) -> Base:
    code = _error_code(stack, shape.picture(packets, 1))
    return Base(error_code=max(code, code_of_factor(_LEAST_ERROR)), packets=packets)


def _error_code(stack: Levels, picture: Levels) -> int:
    """Return the code of the deviation of a frame from a picture; 0 where they are equal."""
    square = np.mean(np.square(stack - picture, dtype=np.float64))
    return code_of_factor(float(np.sqrt(square))) if square else 0


def _put(content: NDArray[np.int64], part: Part, message: bytes) -> None:
    coded = part.code.encode(bits_of(message))
    content[part.start : part.start + part.cells] = points_of(coded, part)


class _Reading:
    """A frame while it is read: its pixels in the order of the cells, and what is known so far."""

    def __init__(self, frame: NDArray[np.uint8], keys: FrameKeys, layout: Layout) -> None:
        self.frame, self.keys, self.layout = frame, keys, layout
        self.content = keys.carrier.received(frame.reshape(-1))
        self.points = np.zeros(layout.cells, np.uint8)
        self.known = np.zeros(layout.cells, np.bool_)

    def plane(self, cells: Levels) -> Levels:
        """Return numbers of the cells in their places: (rows, columns)."""
        plane = np.empty(len(cells), cells.dtype)
        plane[self.keys.carrier.places] = cells
        return plane.reshape(self.frame.shape)

    def channel(self) -> Channel:
        """Return a reading of the channel, from what is known, or else from all."""
        any_known = bool(self.known.any())
        return read_channel(
            self.frame,
            self.plane(self.content - self.points),
            period=LEVELS if any_known else POINT_DISTANCE,
            known=self.plane(self.known) if any_known else np.ones(self.frame.shape, np.bool_),
        )

    def messages(self, part: Part, channel: Channel) -> Iterator[bytes]:
        """Yield what a part can be decoded to; a tag tells which is right."""
        cells = slice(part.start, part.start + part.cells)
        places = self.keys.carrier.places[cells]
        offset = channel.offsets[self.frame.reshape(-1)[places]]
        densities = point_densities(
            self.content[cells].astype(np.float32) - offset,
            channel.lost.reshape(-1)[places],
            max(channel.spread, _LEAST_SPREAD),
        )
        ratios = log_likelihoods(densities, part)
        for factor in _CONFIDENCES:
            bits, _ = part.code.decode(ratios * np.float32(factor), iterations=_ITERATIONS)
            yield bytes_of(bits)

    def learn(self, part: Part, message: bytes) -> None:
        """Take the points of a decoded part as known."""
        cells = slice(part.start, part.start + part.cells)
        self.points[cells] = points_of(part.code.encode(bits_of(message)), part)
        self.known[cells] = True


def _read_base(reading: _Reading, part: Part) -> tuple[Base | None, Channel]:
    channel = reading.channel()
    # Before a point is known, a tone curve may be off by the distance of two points.
    moved = (
        replace(channel, offsets=channel.offsets + np.float32(turn * POINT_DISTANCE))
        for turn in (1, -1)
    )
    for tried in (channel, *moved, loud_channel(reading.frame)):
        for message in reading.messages(part, tried):
            base = reading.keys.tagger.read_base(message)
            if base is not None:
                reading.learn(part, message)
                return base, reading.channel()
    return None, channel


def _read_detail(reading: _Reading, part: Part, channel: Channel) -> Detail | None:
    for message in reading.messages(part, channel):
        detail = reading.keys.tagger.read_detail(message)
        if detail is not None:
            reading.learn(part, message)
            return detail
    return None


def open_frame(frame: NDArray[np.uint8], shape: Shape, keys: FrameKeys) -> Opened:
    """Return what is left of a frame; parameters as for `seal_frame`."""
    layout = layout_of(shape.cells)
    reading = _Reading(frame, keys, layout)
    if layout.detail is None:
        return _opened_plain(reading, shape)
    base = None
    if layout.base is None:
        channel = reading.channel()
    else:
        base, channel = _read_base(reading, layout.base)
        if base is None:
            return _nothing(shape, channel)
    detail = _read_detail(reading, layout.detail, channel)
    if detail is not None:
        return _opened_whole(reading, shape, base.packets if base else b"", detail)
    if base is None or not base.packets:
        return _nothing(shape, channel)
    picture = np.asarray(shape.picture(base.packets, 1), np.float32)
    return Opened(
        layer="base",
        picture=picture,
        error=factor_of_code(base.error_code),
        residual=np.zeros_like(picture),
        weight=np.zeros_like(picture),
        noise=0.0,
        channel_noise=channel.spread,
        lost_share=float(channel.lost.mean()),
    )


def _nothing(shape: Shape, channel: Channel) -> Opened:
    zeros = np.zeros(shape.stacked, np.float32)
    return Opened(
        layer="none",
        picture=zeros,
        error=float(shape.white),
        residual=zeros,
        weight=zeros,
        noise=0.0,
        channel_noise=channel.spread,
        lost_share=float(channel.lost.mean()),
    )


def _centred(content: NDArray[np.uint8]) -> NDArray[np.int16]:
    return (content + np.uint8(_HALF)).astype(np.int16) - _HALF


def _opened_whole(reading: _Reading, shape: Shape, base: bytes, detail: Detail) -> Opened:
    """Return the whole coarse picture, and the residual as far as it came through."""
    coarse = shape.picture(base + detail.packets, 2 if base else 1)
    gain, power = factor_of_code(detail.gain_code), detail.power / LEVELS
    cells = reading.layout.residual_cells()
    raw = _centred(reading.content - reading.points)
    clean = restored(coarse, raw[cells].reshape(coarse.shape), gain, white=shape.white)
    tag = reading.keys.tagger.tag(b"clean", _hashed(clean))
    zeros = np.zeros(shape.stacked, np.float32)
    if hmac.compare_digest(tag, detail.clean_tag):
        picture = np.asarray(clean, np.float32)
        return Opened(
            layer="clean",
            picture=picture,
            error=factor_of_code(detail.clean_code) if detail.clean_code else 0.0,
            residual=zeros,
            weight=zeros + 1,
            noise=0.0,
            channel_noise=0.0,
            lost_share=0.0,
        )
    channel = reading.channel()
    distance = reading.plane(raw).astype(np.float32) - channel.offsets[reading.frame]
    places = reading.keys.carrier.places[cells]

    def in_image(plane: Floats) -> Floats:
        return plane.reshape(-1)[places].reshape(shape.stacked)

    weight = kept_of(in_image(distance), in_image(channel.kept), in_image(channel.lost))
    kept = np.empty(weight.size, np.float32)
    kept[places] = weight.reshape(-1)
    result = heard(distance, kept.reshape(distance.shape), power)
    return Opened(
        layer="detail",
        picture=np.asarray(coarse, np.float32),
        error=float(np.sqrt(power)) / gain,
        residual=in_image(result.shift) / np.float32(gain),
        weight=weight,
        noise=result.noise / gain,
        channel_noise=result.noise,
        lost_share=float(1 - weight.mean()),
    )


def _opened_plain(reading: _Reading, shape: Shape) -> Opened:
    """Return a small image that travels without a coarse picture: nothing can be told of noise."""
    cells = reading.layout.residual_cells()
    stack = reading.content[cells].reshape(shape.stacked)
    blank = blank_areas(reading.frame).reshape(-1)[reading.keys.carrier.places[cells]]
    return Opened(
        layer="none" if blank.all() and blank.size > _FEW_CELLS else "plain",
        picture=np.asarray(stack / shape.plain_gain, np.float32),
        error=0.0,
        residual=np.zeros(shape.stacked, np.float32),
        weight=np.ones(shape.stacked, np.float32),
        noise=0.0,
        channel_noise=0.0,
        lost_share=float(blank.mean()),
    )
