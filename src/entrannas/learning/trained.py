"""A trained network as one object: preprocessing, predictions, features, and its file format."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from huggingface_hub import PyTorchModelHubMixin, hf_hub_download
from PIL import Image
from safetensors.torch import save
from torch import Tensor, nn

from entrannas.core.errors import InputError
from entrannas.core.genotype import Genotype
from entrannas.core.network import build_network
from entrannas.core.state import Weights
from entrannas.data.images import reason
from entrannas.data.pixels import Pixels, open_image, to_pixels
from entrannas.files.whole import opened, read_whole, to_json, write_whole
from entrannas.learning.description import Description
from entrannas.learning.train_config import TrainConfig
from entrannas.runs.checkpoints import load_tensors, take_up
from entrannas.runs.device import Device, place
from entrannas.runs.events import Events, Listener
from entrannas.runs.memory import MEASURE_WITH_LESS, enough_memory
from entrannas.runs.run import CHECKPOINT, Run

WEIGHTS = "weights.safetensors"
"""The file of weights in a run."""

CONFIG, MODEL = "config.json", "model.safetensors"
"""The files of a network in the layout of the Hugging Face hub."""

_PICKLE = "pytorch_model.bin"
_RUN = "run.json"  # which a run has, and a folder of the hub has not
_NETWORK, _AUXILIARY = "network.", "network.auxiliary_head."
_MOST = 2**24  # bytes of a configuration

Picture = str | Path | bytes | Image.Image | np.ndarray[Any, Any]
"""An image: the path of a file, its content, what Pillow has opened, or pixels [height, width] of grey or
[height, width, channels]: grey with transparency, RGB or RGBA of 8 bits, or grey of more."""

_ONE = str, Path, bytes, Image.Image, np.ndarray

Prediction = list[tuple[str, float]]
"""Classes with their probabilities, the best first."""


@dataclass(frozen=True)
class Features:
    """The features that a network computes of a batch of images before it classifies them.

    Attributes:
        maps: those of the last cell of each width, [batch, channels, height, width], the largest first.
        pooled: the vectors that are classified, [batch, features].
    """

    maps: tuple[Tensor, ...]
    pooled: Tensor


class TrainedNetwork(
    nn.Module,
    PyTorchModelHubMixin,
    library_name="entrannas",
    pipeline_tag="image-classification",
    tags=["neural-architecture-search"],
    paper_url="https://arxiv.org/abs/2101.11342",
):
    """A trained network, in evaluation mode, with its classes and its preprocessing.

    As a module it maps pixels from 0 to 1, float32 [batch, channels, height, width], to logits [batch, classes]: it
    normalises them itself, so that what is exported cannot be fed wrongly.

    Attributes:
        description: what it is, but for its weights.
        network: the target network, which takes normalised images.
        channels: those of the maps that `features` returns.
        strides: pixels of the image to one of each of these maps.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, config: Description | Mapping[str, Any]) -> None:
        """Build the network with random weights; `load` returns one with trained weights.

        Args:
            config: what it is; also as JSON has it, such as the `config.json` of a folder of the hub.

        Raises:
            InputError: that is no description.
        """
        super().__init__()
        if not isinstance(config, Description):
            config = Description.parse(config, CONFIG)
        self.description = config
        size = config.size
        self.network = build_network(
            config.genotype, size.num_classes, size.cells, size.channels, size.stem, in_channels=size.in_channels
        )
        for name in ("mean", "std"):
            numbers = torch.tensor(getattr(config.normalisation, name)).view(1, -1, 1, 1)
            self.register_buffer(name, numbers, persistent=False)
        levels = config.levels()
        self._last = {index for index, _, _ in levels}
        self.channels, self.strides = tuple(each[1] for each in levels), tuple(each[2] for each in levels)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.eval()

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the classes, in the order of the outputs."""
        return self.description.classes

    @property
    def genotype(self) -> Genotype:
        """The architecture."""
        return self.description.genotype

    @property
    def device(self) -> torch.device:
        """The device of the network, which `to` changes."""
        return self.mean.device

    def forward(self, image: Tensor) -> Tensor:
        """Return logits [batch, classes] of pixels from 0 to 1, [batch, channels, height, width]."""
        logits: Tensor = self.network((image - self.mean) / self.std)
        return logits

    def pixels(self, image: Picture) -> Pixels:
        """Bring an image to what the test has seen of such a file: uint8 [height, width, channels].

        It is turned as EXIF asks, laid on the background where it is transparent, brought from more than 8 bits by the
        range of the training images, made grey or RGB, resized and centre-cropped.

        Raises:
            InputError: it cannot be read.
        """
        name = str(image) if isinstance(image, str | Path) else "the image"
        try:
            with _opened(image) as picture:
                pixels = to_pixels(picture, self.description.shape, self.description.pixels)
        except (InputError, MemoryError):
            raise
        except Exception as error:  # of many types, as Pillow's formats have it
            raise InputError(f"cannot read {name}: {reason(error)}") from None
        return np.ascontiguousarray(pixels.transpose(1, 2, 0))

    def preprocess(self, image: Picture) -> Tensor:
        """Return an image as `network` takes it in a batch: normalised, float32 [channels, height, width].

        Raises:
            InputError: it cannot be read.
        """
        return self._normalised([self.pixels(image)])[0]

    def predict(self, images: Picture | Iterable[Picture], topk: int = 5, batch_size: int = 64) -> list[Prediction]:
        """Classify images.

        Args:
            images: any number, or one.
            topk: how many classes are told of each; all, if it has fewer.
            batch_size: images of a pass.

        Returns:
            For each image its classes with their probabilities, the best first.

        Raises:
            InputError: an image cannot be read; `entrannas predict` passes over such files.
        """
        predictions: list[Prediction] = []
        pictures = iter([images] if isinstance(images, _ONE) else images)
        while batch := list(islice(pictures, batch_size)):
            predictions += self.ranked(self.logits_of([self.pixels(image) for image in batch]), topk)
        return predictions

    @torch.no_grad()
    def features(self, images: Picture | Iterable[Picture]) -> Features:
        """Return the maps of a batch of images, for use as a backbone; see `channels` and `strides`.

        `network.maps` yields those of each cell, with gradients.

        Raises:
            InputError: an image cannot be read.
        """
        batch = [self.pixels(image) for image in ([images] if isinstance(images, _ONE) else images)]
        maps = list(self.network.maps(self._normalised(batch)))
        return Features(tuple(maps[index] for index in sorted(self._last)), self.network.pool(maps[-1]))

    @torch.no_grad()
    def logits(self, images: Tensor) -> Tensor:
        """Return logits [batch, classes] of normalised images, as all that predicts or measures computes them."""
        with enough_memory(len(images), MEASURE_WITH_LESS):
            logits: Tensor = self.network(images)
        return logits

    def logits_of(self, pixels: Sequence[Pixels]) -> Tensor:
        """Return logits [images, classes], where the network is, of images as `pixels` returns them.

        Raises:
            InputError: memory does not suffice.
        """
        return self.logits(self._normalised(pixels))

    def ranked(self, logits: Tensor, topk: int) -> list[Prediction]:
        """Return the best classes of each row of logits with their probabilities."""
        probabilities, indices = logits.softmax(dim=1).topk(min(topk, len(self.classes)), dim=1)
        rows = zip(indices.tolist(), probabilities.tolist(), strict=True)
        return [[(self.classes[k], p) for k, p in zip(*row, strict=True)] for row in rows]

    def _normalised(self, pixels: Sequence[Pixels]) -> Tensor:
        batch = torch.from_numpy(np.stack(pixels)).permute(0, 3, 1, 2)
        return self.description.normalisation(batch.to(self.device))

    def to_config(self) -> bytes:
        """Return the content of `config.json`: the description of the network."""
        return to_json(self.description.model_dump(mode="json"))

    def to_safetensors(self, notes: Mapping[str, str]) -> bytes:
        """Return the content of `model.safetensors`: the weights, with notes."""
        tensors = {name: tensor.contiguous() for name, tensor in self.state_dict().items()}
        return save(tensors, {"format": "pt", **notes})

    def save_pretrained(self, save_directory: str | Path, **options: Any) -> str | None:
        """Write the network into a folder in the layout of the Hugging Face hub, replacing one that is there.

        Args:
            save_directory: the folder.
            options: those of `huggingface_hub.PyTorchModelHubMixin.save_pretrained`.

        Raises:
            InputError: a run is there, whose files have the same names; or the disk refuses.
        """
        if Path(save_directory, _RUN).exists():
            raise InputError(f"{save_directory} holds a run, whose files would be lost: choose another folder")
        return super().save_pretrained(save_directory, **options)

    def _save_pretrained(self, save_directory: Path) -> None:
        """Write weights and description for `save_pretrained`; the mixin knows nothing of the latter."""
        write_whole(save_directory / MODEL, self.to_safetensors({}))
        write_whole(save_directory / CONFIG, self.to_config())

    @classmethod
    def from_pretrained(
        cls, pretrained_model_name_or_path: str | Path, *, map_location: str | torch.device = "cpu", **options: Any
    ) -> Self:
        """Load a folder in the layout of the Hugging Face hub, or a repository of the hub, by its name.

        Nothing of it is run: the mixin would take a pickle in the place of the weights, and whatever weights fit.

        Args:
            pretrained_model_name_or_path: the folder, or the name.
            map_location: where it computes.
            options: of a repository: those of `huggingface_hub.hf_hub_download`, such as `revision` and `token`.

        Raises:
            InputError: a file is missing or damaged, or the hub cannot be reached, or refuses.
        """
        name = pretrained_model_name_or_path
        if Path(name).is_dir():
            config, weights = Path(name, CONFIG), Path(name, MODEL)
        else:
            config, weights = (_downloaded(str(name), file, options) for file in (CONFIG, MODEL))
        return cls.of(_description_in(config), _tensors_in(weights), weights).to(map_location)

    @classmethod
    def of(cls, description: Description, tensors: Mapping[str, Tensor], path: Path) -> Self:
        """Build a network with the weights of a file, without those of the auxiliary head, which only a training uses.

        Raises:
            InputError: they are not finite, or those of another network. One that is much larger is not built.
        """
        own = {name: tensor for name, tensor in tensors.items() if not name.startswith(_AUXILIARY)}
        held, needed = sum(tensor.numel() for tensor in own.values()), description.cost().parameters
        if held < needed:
            raise InputError(
                f"{path} is of another network: it holds {held:,} numbers, and what is described takes {needed:,}"
            )
        trained = cls(description)
        take_up(Weights("network", trained.network), own, path)
        return trained


def load(path: str | Path, device: Device = "auto", listeners: Sequence[Listener] = ()) -> TrainedNetwork:
    """Load the network of a training run; if the training has not ended, the network of its last whole epoch.

    Args:
        path: the run directory of a training, or a folder in the layout of the Hugging Face hub.
        device: where it computes.
        listeners: are told if the training has not ended, see `runs.events`.

    Raises:
        InputError: no training there of which an epoch has ended, or a file of it is damaged.
    """
    path = Path(path).expanduser()
    if (path / MODEL).exists() or (path / _PICKLE).exists():
        trained = TrainedNetwork.from_pretrained(path)
    else:
        run = Run.open(path, "train")
        trained = TrainedNetwork.of(Description.of(run), *_weights_in(run, Events(listeners)))
    return trained.to(place(device))


def _weights_in(run: Run, events: Events) -> tuple[dict[str, Tensor], Path]:
    """Return the weights of a training, and the file that they were in: the checkpoint where there is no other yet."""
    if run.file(WEIGHTS) or not run.file(CHECKPOINT):
        return run.load_tensors(WEIGHTS)[1], run.path / WEIGHTS
    epoch, state = run.load_checkpoint()
    of = run.config(TrainConfig).epochs
    events.tell(f"{run.path} has not ended: these are the weights after {epoch:,} of {of:,} epochs")
    weights = {name: tensor for name, tensor in state.items() if name.startswith(_NETWORK)}
    return weights, run.path / CHECKPOINT


def _downloaded(name: str, file: str, options: Mapping[str, Any]) -> Path:
    try:
        return Path(hf_hub_download(name, file, **options))
    except Exception as error:  # the client's own, and those of its HTTP library, which is not the same in all versions
        why = " ".join(reason(error).split())
        raise InputError(f"there is no folder {name}, and {file} cannot be had from the hub: {why}") from None


def _description_in(path: Path) -> Description:
    try:
        return Description.parse(json.loads(read_whole(path, _MOST)), path)
    except FileNotFoundError:
        raise InputError(f"{path} is missing: it describes the network") from None
    except (ValueError, RecursionError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path} is damaged: it is no whole JSON") from None


def _tensors_in(path: Path) -> dict[str, Tensor]:
    if not path.exists():
        raise InputError(f"{path} is missing: it holds the weights, and a pickle in its place is not opened")
    return load_tensors(path)[1]


def _opened(image: Picture) -> Image.Image:
    """Open an image, or take a copy of one that is open, since it is turned in place."""
    match image:
        case Image.Image():
            return image.copy()
        case bytes():
            return open_image(image)
        case np.ndarray():
            return Image.fromarray(image.squeeze(2) if image.ndim == 3 and image.shape[2] == 1 else image)
    with opened(Path(image).expanduser()) as file:
        return open_image(file.read())
