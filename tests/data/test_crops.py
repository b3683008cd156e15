import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageEnhance, ImageOps

from entrannas.core.errors import InputError
from entrannas.core.processes import Part
from entrannas.core.seeds import generator
from entrannas.data.augmentation import Augmentation
from entrannas.data.crops import KEPT, Crops, jittered, random_box
from entrannas.data.images import StreamedImages, load_images
from entrannas.data.pixels import open_image, shrink, to_pixels
from entrannas.data.settings import DataSettings
from entrannas.data.sources import open_source
from entrannas.data.summary import Normalisation, PixelRules
from entrannas.data.training_data import load_training_data, training_batches
from entrannas.learning.train_config import TrainConfig

from ..pictures import class_folders, picture

CPU = torch.device("cpu")
RULES = PixelRules()
PLAIN = Crops(seed=1, flip=False, jitter=0.0, lighting=0.0)


def _content(image: Image.Image, form: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def _smooth(width: int, height: int) -> Image.Image:
    """Make an image in colour of which a part has the mean of its own, so that a shifted box is told apart."""
    rows, columns = np.mgrid[:height, :width]
    waves = [np.sin(columns / 40 + 1) * np.cos(rows / 30), np.sin((rows + columns) / 50), np.cos(columns / 25)]
    return Image.fromarray(np.round(127.5 + 120 * np.stack(waves, axis=-1)).astype(np.uint8))


def _full(content: bytes, position: int, size: int, crops: Crops = PLAIN) -> np.ndarray[Any, Any]:
    """Make the same crop of a whole image, decoded at its size and turned."""
    image = ImageOps.exif_transpose(Image.open(io.BytesIO(content))).convert("RGB")
    box = random_box(image.size, (size, size), np.random.default_rng((crops.seed, position)))
    return np.asarray(image.resize((size, size), Image.Resampling.BICUBIC, box)).transpose(2, 0, 1)


@given(
    st.integers(1, 3000),
    st.integers(1, 3000),
    st.sampled_from([(224, 224), (32, 32), (320, 160)]),
    st.integers(0, 2**56),
)
def test_a_box_lies_in_the_image_and_has_the_area_and_the_shape(
    width: int, height: int, wanted: tuple[int, int], seed: int
) -> None:
    left, upper, right, lower = random_box((width, height), wanted, np.random.default_rng(seed))
    assert 0 <= left < right <= width and 0 <= upper < lower <= height
    across, down, shape = right - left, lower - upper, wanted[0] / wanted[1]
    if min(across, down) > 50:  # rounding is nothing then
        centred = abs(left - (width - right)) <= 1 and abs(upper - (height - lower)) <= 1
        assert 0.07 * width * height <= across * down or centred
        assert 0.74 < across / down / shape < 1.36


def test_boxes_are_where_and_as_large_as_the_protocol_says() -> None:
    random = np.random.default_rng(0)
    boxes = np.array([random_box((400, 400), (224, 224), random) for _ in range(4000)])
    across, down = boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]
    share = across * down / 400**2
    assert share.min() < 0.1 and share.max() > 0.9 and abs(share.mean() - 0.5) < 0.03
    assert abs(np.log(across / down).mean()) < 0.02 and abs((boxes[:, 0] + boxes[:, 2]).mean() - 400) < 4
    assert random_box((1000, 10), (10, 10), random)[1::2] == (0, 10), "too wide for any: the centre"


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("form", ["JPEG", "PNG", "TIFF"])
def test_crops_are_those_of_the_whole_image_turned_as_exif_asks(form: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    content = _content(_smooth(900, 601), form, exif=exif, **({"quality": 95} if form == "JPEG" else {}))
    for position in range(5):
        crop, full = PLAIN.of(content, position, (3, 96, 96), RULES), _full(content, position, 96)
        difference = np.abs(crop.astype(int) - full)
        assert difference.mean() < 1.5 and (form == "JPEG" or difference.max() == 0)


@given(st.integers(300, 1200), st.integers(300, 1200), st.integers(1, 40))
def test_a_jpeg_is_decoded_as_small_as_is_asked_and_no_smaller(width: int, height: int, factor: int) -> None:
    content = _content(Image.new("L", (width, height)), "JPEG")
    with open_image(content) as image:
        smaller, left, upper = shrink(image, factor)
        assert (left, upper) == (0, 0)
        assert smaller == max(able for able in (1, 2, 4, 8) if able <= factor)
        image.load()
        assert image.size == (-(-width // smaller), -(-height // smaller))


def test_a_photograph_at_reduced_scale_is_nearly_the_same(photos: Path) -> None:
    for path in sorted(photos.rglob("*.JPEG"))[:12] or sorted(p for p in photos.rglob("*") if p.is_file())[:12]:
        with Image.open(path) as image:
            content = _content(image.convert("RGB"), "JPEG", quality=95)
        for position in range(3):
            crop, full = PLAIN.of(content, position, (3, 64, 64), RULES), _full(content, position, 64)
            assert np.abs(crop.astype(int) - full).mean() < 4


def test_grey_wide_and_transparent_images_are_as_the_rules_have_them() -> None:
    grey = _smooth(200, 150).convert("L")
    content = _content(grey, "JPEG", quality=95)
    strong = Crops(seed=1, flip=False, jitter=0.4, lighting=0.1)
    assert strong.of(content, 0, (1, 32, 32), RULES).shape == (1, 32, 32)
    coloured = Crops(seed=1, flip=False, jitter=0.4, lighting=0.0).of(content, 0, (3, 32, 32), RULES)
    assert np.ptp(coloured.astype(int), axis=0).max() <= 1, "saturation is nothing where there is no colour"
    wide = _content(Image.fromarray(np.asarray(grey).astype(np.uint16) * 100), "PNG")
    narrow = PLAIN.of(wide, 0, (1, 32, 32), PixelRules(low=0, high=25500))
    same = PLAIN.of(_content(grey, "PNG"), 0, (1, 32, 32), RULES)
    assert np.abs(narrow.astype(int) - same).max() <= 1
    with pytest.raises(ValueError, match="more than 8 bits"):
        PLAIN.of(wide, 0, (1, 32, 32), RULES)
    clear = _content(Image.new("RGBA", (50, 40), (0, 0, 0, 0)), "PNG")
    assert (PLAIN.of(clear, 0, (3, 8, 8), PixelRules(background="#808080")) == 128).all()


@given(st.integers(0, 2**32), st.floats(0, 0.4))
def test_jitter_is_what_pillow_does_where_nothing_is_clipped(seed: int, jitter: float) -> None:
    pixels = np.random.default_rng(seed).integers(100, 150, (20, 20, 3), np.uint8)
    image, luma = Image.fromarray(pixels), np.array([0.299, 0.587, 0.114])
    matrix, shift = jittered(pixels.mean(axis=(0, 1)), luma, jitter, np.random.default_rng(seed))
    random = np.random.default_rng(seed)
    factors = random.uniform(max(0, 1 - jitter), 1 + jitter, 3)
    for kind in random.permutation(3):
        enhance = (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color)[kind]
        image = enhance(image).enhance(factors[kind])
    assert np.abs(pixels @ matrix.T + shift - np.asarray(image)).max() < 5  # Pillow rounds four times on the way


def test_lighting_shifts_all_pixels_by_the_principal_components() -> None:
    content = _content(Image.new("RGB", (30, 30), (128, 128, 128)), "PNG")
    crops = Crops(seed=0, flip=False, jitter=0.0, lighting=0.1)
    colours = np.stack([crops.of(content, position, (3, 8, 8), RULES) for position in range(500)]).astype(float)
    assert (colours == colours[:, :, :1, :1]).all()
    moved = colours[:, :, 0, 0] - 128
    assert 2.5 < moved.std() < 4 and np.corrcoef(moved.T).min() > 0.8, "mostly of brightness, 255 x 0.1 x 0.2175 / √3"


def test_half_of_the_images_are_mirrored() -> None:
    content = _content(Image.linear_gradient("L").rotate(90), "PNG")
    crops = Crops(seed=0, flip=True, jitter=0.0, lighting=0.0)
    pixels = [crops.of(content, position, (1, 8, 8), RULES).astype(int) for position in range(200)]
    mirrored = sum(bool(one[0, 0, 0] > one[0, 0, -1]) for one in pixels)
    assert 70 < mirrored < 130


def _streamed(root: Path) -> StreamedImages:
    split = open_source(str(root)).train
    (images,) = load_images([split], (3, 16, 16), PixelRules(crop=KEPT), CPU, stay=False)
    assert isinstance(images, StreamedImages)
    return images


def test_crops_are_the_same_whoever_makes_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In this process or in workers, one process or one of two; and of another epoch they are others."""
    images = _streamed(class_folders(tmp_path, {"cat": 10, "dog": 10}, size=(40, 30)))
    augmentation = Augmentation(0.125, True, 0.5, "resized", 0.4, 0.1)
    everything, plain = torch.arange(len(images)), Normalisation((0.0,) * 3, (1.0,) * 3)

    def epoch(number: int, workers: int, part: Part) -> list[torch.Tensor]:
        monkeypatch.setattr("entrannas.data.images._workers", lambda *_: workers)
        random = generator("batches", 0, number)
        return [x for x, _ in training_batches(images, everything, 6, augmentation, plain, random, part)]

    alone = epoch(0, 0, Part())
    assert len(alone) == 2 and alone[0].shape == (6, 3, 16, 16)
    assert all(torch.equal(one, other) for one, other in zip(alone, epoch(0, 2, Part()), strict=True))
    halves = [epoch(0, 0, Part(index, 2)) for index in range(2)]
    assert all(torch.equal(one, torch.cat(both)) for one, *both in zip(alone, *halves, strict=True))
    assert not torch.equal(alone[0], epoch(1, 0, Part())[0])


def test_a_test_sees_seven_eighths_of_the_centre() -> None:
    image = _smooth(500, 375)
    pixels = to_pixels(image.copy(), (3, 224, 224), PixelRules(crop=KEPT))
    scaled = image.resize((341, 256), Image.Resampling.BICUBIC).crop((58, 16, 282, 240))  # as usual: 256, then 224
    assert np.abs(pixels.transpose(1, 2, 0).astype(int) - np.asarray(scaled)).mean() < 2
    exact = image.resize((224, 224), Image.Resampling.BICUBIC, (85.9375, 23.4375, 414.0625, 351.5625))
    assert np.array_equal(pixels.transpose(1, 2, 0), np.asarray(exact))
    same = _smooth(64, 64)
    small = to_pixels(same.copy(), (3, 64, 64), PixelRules(crop=KEPT)).transpose(1, 2, 0)
    assert np.array_equal(small, np.asarray(same.resize((64, 64), Image.Resampling.BICUBIC, (4, 4, 60, 60))))


def test_a_training_on_resized_crops_keeps_nothing_on_the_device(tmp_path: Path) -> None:
    root = class_folders(tmp_path, {"cat": 10, "dog": 10}, size=(40, 30))
    data = load_training_data(DataSettings(str(root), crops="resized"), CPU)
    assert isinstance(data.images, StreamedImages) and data.pixels.crop == KEPT
    digits = load_training_data(DataSettings("digits", subset=40, crops="resized"), CPU)
    augmentation = Augmentation(0.0, False, 0.0, "resized", 0.4, 0.1)
    batches = training_batches(
        digits.images, torch.arange(40), 20, augmentation, digits.normalisation, generator("digits")
    )
    assert [images.shape for images, _ in batches] == [(20, 1, 8, 8)] * 2


def test_a_damaged_image_is_found_before_the_first_crop(tmp_path: Path) -> None:
    root = class_folders(tmp_path / "images", {"cat": 4, "dog": 4})
    for name in ("cat", "dog"):
        for number in range(4):
            picture(root / name / f"{number}.jpg", number, size=(90, 70))
    bad = root / "cat" / "2.jpg"
    bad.write_bytes(bad.read_bytes()[:-700])
    with pytest.raises(InputError, match=f"cannot read the image {bad}: "):
        load_training_data(DataSettings(str(root), crops="resized"), CPU)


def test_the_crops_of_a_training_follow_from_its_stem() -> None:
    def crops(**settings: object) -> tuple[str, float, float]:
        config = TrainConfig.resolve(settings)
        return config.crops, config.jitter, config.lighting

    assert crops() == ("padded", 0, 0) and crops(stem="imagenet") == ("resized", 0.4, 0.1)
    assert crops(stem="imagenet", crops="padded") == ("padded", 0, 0)
    assert crops(crops="resized", jitter=0.2) == ("resized", 0.2, 0)
    with pytest.raises(InputError, match=r"jitter: 0.4 is for resized crops: choose --crops resized"):
        crops(jitter=0.4)
