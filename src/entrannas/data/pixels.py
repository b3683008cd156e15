"""Pixels: what of an image file a network sees, which is what a viewer shows."""

import io
from typing import Any

import numpy as np
from PIL import Image, ImageOps

from entrannas.data.summary import PixelRules, Shape

Pixels = np.ndarray[Any, np.dtype[np.uint8]]

# What Pillow knows by its head but hands to other programs, or not at all; IPTC holds an image of any of these.
_NOT_DECODED = {"BUFR", "EPS", "GRIB", "HDF5", "IPTC", "MPEG", "WMF"}
_TURNED = 5, 6, 7, 8  # EXIF orientations in which height and width change places
_FROM_RIGHT, _FROM_BELOW = (2, 3, 6, 7), (3, 4, 7, 8)  # those in which the ends of rows and columns come first
_ORIENTATION = 0x0112
_NOTES = {"exif", "xmp", "Raw profile type exif"}

Image.init()
FORMATS = tuple(sorted(Image.OPEN.keys() - _NOT_DECODED))
"""The formats that are read, by their content."""
ENDINGS = frozenset(ending for ending, name in Image.registered_extensions().items() if name in FORMATS)
"""The endings of files of these formats."""


def open_image(content: bytes) -> Image.Image:
    """Open the content of a file; its pixels may not be decoded yet."""
    return Image.open(io.BytesIO(content), formats=FORMATS)


def is_wide(image: Image.Image) -> bool:
    """Tell grey of more than 8 bits: 16 or 32 bits, or floats."""
    return image.mode[0] in "IF"


def is_grey(image: Image.Image) -> bool:
    """Tell from its mode that an image has no colour."""
    return image.mode in ("1", "L", "LA", "La") or is_wide(image)


def upright_size(image: Image.Image) -> tuple[int, int]:
    """Return width and height as a viewer shows them, behind the turn that EXIF asks for."""
    width, height = image.size
    if image.format == "TIFF":  # its size is upright already
        return width, height
    noted = image.format != "PNG" or image.info.keys() & _NOTES  # else Pillow would decode all of a PNG to look
    turned = noted and image.getexif().get(_ORIENTATION) in _TURNED
    return (height, width) if turned else (width, height)


def value_range(image: Image.Image) -> tuple[float, float]:
    """Return the lowest and the highest value of a wide image.

    Raises:
        ValueError: a pixel is no number.
    """
    values = np.asarray(image)
    low, high = float(values.min()), float(values.max())
    if not np.isfinite([low, high]).all():
        raise ValueError("it has pixels that are no numbers")
    return low, high


def to_pixels(image: Image.Image, shape: Shape, rules: PixelRules) -> Pixels:
    """Bring an image to uint8 [channels, height, width]: upright, on the background, resized and centre-cropped.

    Raises:
        ValueError: as `as_shown` does.
    """
    channels, height, width = shape
    image = as_shown(image, channels, rules)
    if image.size != (width, height) or rules.border:
        image = ImageOps.fit(image, (width, height), Image.Resampling.BICUBIC, rules.border)
    return np.asarray(image).reshape(height, width, channels).transpose(2, 0, 1)


def as_shown(image: Image.Image, channels: int, rules: PixelRules) -> Image.Image:
    """Bring an image to 8 bits of grey or RGB: upright, on the background.

    Raises:
        ValueError: it is wide, and the training images were not; or a pixel is no number.
    """
    ImageOps.exif_transpose(image, in_place=True)
    if is_wide(image):
        image = _narrow(image, rules)
    elif image.has_transparency_data:
        image = (image.convert("LA") if image.mode == "La" else image).convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, rules.background), image)
    mode = "L" if channels == 1 else "RGB"
    return image if image.mode == mode else image.convert(mode)


def shrink(image: Image.Image, factor: int) -> tuple[int, float, float]:
    """Let a JPEG be decoded at a half, a quarter or an eighth of its size, of which no more is computed than that.

    Args:
        image: not decoded yet.
        factor: how many times smaller its sides may be.

    Returns:
        How many times smaller they are, 1 for other formats; and where the left and the upper edge are then of the
        image that is turned upright, in pixels: a part of a pixel that its decoder adds at an end may come first.
    """
    factor = next(able for able in (8, 4, 2, 1) if able <= factor)
    width, height = image.size
    if factor == 1 or min(width, height) < factor or not image.draft(None, (width // factor, height // factor)):
        return 1, 0.0, 0.0
    orientation = image.getexif().get(_ORIENTATION)
    across, down = -width % factor / factor, -height % factor / factor
    if orientation in _TURNED:
        across, down = down, across
    return factor, across if orientation in _FROM_RIGHT else 0.0, down if orientation in _FROM_BELOW else 0.0


def _narrow(image: Image.Image, rules: PixelRules) -> Image.Image:
    """Scale a wide image to 8 bits, by the range of the training images."""
    value_range(image)
    if rules.low is None or rules.high is None:
        raise ValueError(f"it has more than 8 bits a pixel (mode {image.mode}), which no training image has")
    scale = 255 / (rules.high - rules.low) if rules.high > rules.low else 0.0
    values = (np.asarray(image).astype(np.float64) - rules.low) * scale
    return Image.fromarray(values.round().clip(0, 255).astype(np.uint8))
