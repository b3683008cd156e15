"""Figures worked out again from the files of a run, past all that measured them in the first place."""

import io
import json
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors.torch import load_file

from entrannas.core.network import build_network
from entrannas.data.sources import open_source
from entrannas.runs.genotypes import load_genotype


@torch.no_grad()
def trained_accuracy(run: Path) -> float:
    """Return the share of the test images, all of one size, that the weights of a trained run classify rightly."""
    config, learned = (json.loads((run / name).read_text()) for name in ("config.json", "run.json"))
    channels, height, width = learned["data"]["shape"]
    size = {name: config[name] for name in ("cells", "channels", "stem")}
    network = build_network(
        load_genotype(run),
        len(learned["data"]["classes"]),
        **size,
        auxiliary=config["auxiliary"] > 0,
        in_channels=channels,
    ).eval()
    weights = load_file(run / "weights.safetensors")
    network.load_state_dict({name.removeprefix("network."): tensor for name, tensor in weights.items()})
    mean, std = (np.array(learned["data"]["normalisation"][name], np.float32) for name in ("mean", "std"))
    border = (1 - learned["data"]["pixels"]["crop"]) / 2
    test, right = open_source(config["data"]).test, 0
    for places in torch.arange(len(test)).split(500):
        opened = [Image.open(io.BytesIO(test.reader.read(index))) for index in test.indices[places].tolist()]
        plain = [image.convert("L" if channels == 1 else "RGB") for image in opened]
        if border:
            box = (border * width, border * height, (1 - border) * width, (1 - border) * height)
            plain = [image.resize((width, height), Image.Resampling.BICUBIC, box) for image in plain]
        decoded = [np.asarray(image, np.float32) for image in plain]
        pixels = np.stack(decoded).reshape(-1, height, width, channels)
        images = torch.from_numpy((pixels / 255 - mean) / std).permute(0, 3, 1, 2)
        right += int((network(images).argmax(dim=1) == test.labels[places]).sum())
    return right / len(test)
