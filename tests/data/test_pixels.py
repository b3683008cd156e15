import io
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageDraw, ImageOps

from entrannas.data.pixels import is_grey, open_image, to_pixels, upright_size, value_range
from entrannas.data.summary import PixelRules

PLAIN = PixelRules()


def _content(image: Image.Image, form: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def _circle(mode: str) -> Image.Image:
    """Draw black ink on a transparent ground: the shape is in alpha alone."""
    alpha = Image.new("L", (16, 16), 0)
    ImageDraw.Draw(alpha).ellipse((2, 2, 11, 11), fill=255)
    image = Image.new(mode[:-1], (16, 16), 0)
    image.putalpha(alpha)
    return image


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
@pytest.mark.parametrize(("background", "ground"), [("white", 255), ("#808080", 128)])
def test_transparent_pixels_are_laid_on_the_background(mode: str, background: str, ground: int) -> None:
    image = open_image(_content(_circle(mode)))
    channels = 1 if mode == "LA" else 3
    pixels = to_pixels(image, (channels, 16, 16), PixelRules(background=background))
    assert (pixels[:, 0, 0] == ground).all() and (pixels[:, 6, 6] == 0).all()


def test_a_transparent_entry_of_a_palette_is_laid_on_the_background() -> None:
    image = _circle("LA").getchannel("A").point(lambda value: value > 0 and 1).convert("P")
    image.putpalette([0, 0, 0] * 256)
    pixels = to_pixels(open_image(_content(image, transparency=0)), (3, 16, 16), PLAIN)
    assert (pixels[:, 0, 0] == 255).all() and (pixels[:, 6, 6] == 0).all()


@given(orientation=st.integers(1, 8), form=st.sampled_from(["JPEG", "PNG", "TIFF", "WEBP"]))
def test_images_are_turned_as_a_viewer_does_and_sized_so(orientation: int, form: str) -> None:
    image = Image.fromarray(np.arange(24 * 32 * 3, dtype=np.uint8).reshape(24, 32, 3))
    exif = Image.Exif()
    exif[0x0112] = orientation
    content = _content(image, form, exif=exif)
    shown = ImageOps.exif_transpose(Image.open(io.BytesIO(content)))
    with open_image(content) as opened:
        size = upright_size(opened)
    assert size == shown.size == ((24, 32) if orientation > 4 else (32, 24))
    pixels = to_pixels(open_image(content), (3, size[1], size[0]), PLAIN)
    assert np.array_equal(pixels.transpose(1, 2, 0), np.asarray(shown))


@given(
    st.sampled_from([np.uint16, np.int32, np.float32]), st.integers(0, 4000), st.integers(1, 60000), st.integers(0, 9)
)
def test_wide_pixels_are_scaled_by_the_range_of_the_set(kind: type, low: int, spread: int, seed: int) -> None:
    values = np.random.default_rng(seed).uniform(low, low + spread, (5, 7)).astype(kind)
    image = open_image(_content(Image.fromarray(values), "TIFF"))
    assert is_grey(image) and value_range(image) == (values.min(), values.max())
    rules = PixelRules(low=low, high=low + spread)
    pixels = to_pixels(image, (1, 5, 7), rules)[0]
    expected = (values.astype(np.float64) - low) / spread * 255
    assert np.abs(pixels - expected).max() <= 0.5 + 1e-6
    assert (to_pixels(open_image(_content(Image.fromarray(values), "TIFF")), (3, 5, 7), rules) == pixels).all()


def test_wide_pixels_of_both_byte_orders_are_the_same() -> None:
    values = np.arange(35, dtype=np.uint16).reshape(5, 7) * 1000
    rules = PixelRules(low=0, high=34000)
    big = Image.frombytes("I;16B", (7, 5), values.astype(">u2").tobytes())
    one, other = (
        to_pixels(open_image(_content(image, "TIFF")), (1, 5, 7), rules) for image in (Image.fromarray(values), big)
    )
    assert np.array_equal(one, other) and one.max() == 255


def test_what_is_outside_of_the_range_is_clipped() -> None:
    image = Image.fromarray(np.array([[0, 100, 200, 300]], np.uint16))
    assert to_pixels(image, (1, 1, 4), PixelRules(low=100, high=200)).tolist() == [[[0, 0, 255, 255]]]
    assert to_pixels(image, (1, 1, 4), PixelRules(low=100, high=100)).tolist() == [[[0, 0, 0, 0]]]


def test_wide_images_that_no_rule_is_for_are_refused() -> None:
    with pytest.raises(ValueError, match="more than 8 bits a pixel"):
        to_pixels(Image.fromarray(np.zeros((4, 4), np.uint16)), (1, 4, 4), PLAIN)
    holed = Image.fromarray(np.array([[0, np.nan]], np.float32))
    with pytest.raises(ValueError, match="no numbers"):
        to_pixels(holed, (1, 1, 2), PixelRules(low=0, high=1))


def test_grey_with_alpha_multiplied_in_is_laid_on_the_background() -> None:
    image = _circle("LA").convert("La")
    pixels = to_pixels(image, (1, 16, 16), PLAIN)
    assert pixels[0, 0, 0] == 255 and pixels[0, 6, 6] == 0


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "CMYK", "YCbCr", "HSV"])
def test_any_mode_becomes_grey_or_colour(mode: str) -> None:
    image = Image.linear_gradient("L").resize((8, 6)).convert("RGB")
    image = image.convert("L").convert(mode) if mode in ("1", "L", "P") else image.convert(mode)
    for channels in (1, 3):
        pixels = to_pixels(image.copy(), (channels, 6, 8), PLAIN)
        assert pixels.shape == (channels, 6, 8) and pixels.dtype == np.uint8 and pixels.std() > 0


def test_no_format_is_read_that_another_program_decodes() -> None:
    with pytest.raises(Image.UnidentifiedImageError):
        open_image(_content(Image.new("RGB", (4, 4)), "EPS"))
