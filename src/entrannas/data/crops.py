"""Crops: what a training by ImageNet's protocol sees of an image, made of its file by the process that decodes it.

The protocol is that of the DARTS family for ImageNet: a box of random area and aspect ratio, resized (Szegedy et al.,
CVPR 2015), flips, colour jitter, and lighting (Krizhevsky et al., NeurIPS 2012).
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from entrannas.data.pixels import Pixels, as_shown, open_image, shrink, upright_size
from entrannas.data.summary import PixelRules, Shape

KEPT = 7 / 8
"""How much of the sides a test sees of a network that was trained on crops: 224 pixels of 256."""

Box = tuple[int, int, int, int]
"""Left, upper, right and lower edge, in pixels."""

_DRAFTED = "JPEG", "MPO"  # the formats that can be decoded at a reduced scale
_AREA = 0.08, 1.0
_ASPECT = 3 / 4, 4 / 3
_LOG_ASPECT = math.log(3 / 4), math.log(4 / 3)
_TRIES = 10
_LUMA = np.array([0.299, 0.587, 0.114])

# The principal components of the colours of ImageNet, from 0 to 1: their deviations, and as columns their directions.
_DEVIATIONS = np.array([0.2175, 0.0188, 0.0045])
_DIRECTIONS = np.array([[-0.5675, 0.7192, 0.4009], [-0.5808, -0.0045, -0.8140], [-0.5836, -0.6948, 0.4203]])


@dataclass(frozen=True)
class Crops:
    """Random crops of whole images, resized, flipped and recoloured.

    What an image becomes follows from the seed and the image's position in its split alone: not from who decodes it,
    nor from what was decoded before.

    Attributes:
        seed: that of an epoch.
        flip: mirror half of the images.
        jitter: by how much brightness, contrast and saturation vary, in random order; each by a factor of
            at most so much below or above 1.
        lighting: the standard deviation of the shift along each principal component of ImageNet's colours.
    """

    seed: int
    flip: bool
    jitter: float
    lighting: float

    def of(self, content: bytes, position: int, shape: Shape, rules: PixelRules) -> Pixels:
        """Make uint8 [channels, height, width] of the content of a file; raises as Pillow and `as_shown` do.

        Of a JPEG no more is computed than leaves the box the resolution that is wanted.
        """
        random = np.random.default_rng((self.seed, position))
        channels, height, width = shape
        with open_image(content) as image:
            if image.format not in _DRAFTED:
                image.load()  # which may turn or size some that have noted it late
            left, upper, right, lower = random_box(upright_size(image), (width, height), random)
            factor, x, y = shrink(image, max(1, min((right - left) // width, (lower - upper) // height)))
            box = x + left / factor, y + upper / factor, x + right / factor, y + lower / factor
            image = as_shown(image, channels, rules).resize((width, height), Image.Resampling.BICUBIC, box)
        mirrored = random.random() < 0.5
        if self.jitter or (self.lighting and channels == 3):
            image = self._recoloured(image, random)
        pixels = np.asarray(image).reshape(height, width, channels).transpose(2, 0, 1)
        return pixels[:, :, ::-1] if self.flip and mirrored else pixels

    def _recoloured(self, image: Image.Image, random: np.random.Generator) -> Image.Image:
        """Vary colours: one affine map of each pixel, rounded and clipped once."""
        channels = len(image.getbands())
        counts = np.reshape(image.histogram(), (channels, 256))
        mean = counts @ np.arange(256) / counts[0].sum()
        luma = _LUMA if channels == 3 else np.ones(1)
        matrix, shift = jittered(mean, luma, self.jitter, random)
        if channels == 1:
            return image.point([min(255, max(0, round(matrix.item() * v + shift.item()))) for v in range(256)])
        shift = shift + 255 * _DIRECTIONS @ (random.normal(0, self.lighting, 3) * _DEVIATIONS)
        return image.convert("RGB", tuple(np.column_stack([matrix, shift]).flatten().tolist()))


def random_box(size: tuple[int, int], wanted: tuple[int, int], random: np.random.Generator) -> Box:
    """Draw a box of 8 to 100 % of an image's area and of 3/4 to 4/3 of the aspect ratio that is wanted.

    Of ten that are drawn, it is the first that lies in the image; else the largest at the centre of such a ratio.

    Args:
        size: width and height of the image.
        wanted: width and height of what is made of it.
        random: what it is drawn by.
    """
    width, height = size
    shape = wanted[0] / wanted[1]
    for _ in range(_TRIES):
        area = width * height * random.uniform(*_AREA)
        aspect = shape * math.exp(random.uniform(*_LOG_ASPECT))
        across, down = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
        if 0 < across <= width and 0 < down <= height:
            left, upper = int(random.integers(width - across + 1)), int(random.integers(height - down + 1))
            return left, upper, left + across, upper + down
    least, most = (shape * aspect for aspect in _ASPECT)
    across, down = min(width, max(1, round(height * most))), min(height, max(1, round(width / least)))
    left, upper = (width - across) // 2, (height - down) // 2
    return left, upper, left + across, upper + down


def jittered(
    mean: NDArray[np.float64], luma: NDArray[np.float64], jitter: float, random: np.random.Generator
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Draw brightness, contrast and saturation, in random order, as an affine map of pixels.

    Each mixes pixels with something else as Pillow's `ImageEnhance` does: with black, with the mean of the grey image,
    with the grey image.

    Args:
        mean: that of each channel.
        luma: what each counts in the grey image.
        jitter: the largest difference of a factor to 1.
        random: what is drawn by.

    Returns:
        The matrix [channels, channels] and the shift [channels].
    """
    matrix, shift = np.eye(len(mean)), np.zeros(len(mean))
    factors = random.uniform(max(0, 1 - jitter), 1 + jitter, 3)
    for kind in random.permutation(3):
        factor = factors[kind]
        if kind == 0:
            matrix, shift = factor * matrix, factor * shift
        elif kind == 1:
            grey = luma @ (matrix @ mean + shift)
            matrix, shift = factor * matrix, factor * shift + (1 - factor) * grey
        else:
            mixed = factor * np.eye(len(mean)) + (1 - factor) * luma
            matrix, shift = mixed @ matrix, mixed @ shift
    return matrix, shift
