"""A trained network as a folder in the layout of the Hugging Face hub, with a model card; and the way to the hub."""

import os
import re
import shutil
from collections.abc import Mapping
from pathlib import Path

import yaml
from huggingface_hub import HfApi
from pydantic import ConfigDict

from entrannas.core.errors import InputError
from entrannas.data.images import reason
from entrannas.deploy.notes import notes_in
from entrannas.files.whole import file_digest, names_in, unwritable, write_whole
from entrannas.learning.description import Description
from entrannas.learning.train_config import TrainConfig
from entrannas.learning.trained import CONFIG, MODEL, TrainedNetwork
from entrannas.report.drawing import save_pictures
from entrannas.runs.configuration import shown
from entrannas.runs.records import Record
from entrannas.runs.run import RESULT, Run

CARD = "README.md"

_LEARNING = (
    "epochs",
    "batch_size",
    "lr",
    "warmup_epochs",
    "weight_decay",
    "label_smoothing",
    "drop_path",
    "auxiliary",
    "cutout",
    "flip",
    "crops",
    "crop_padding",
    "jitter",
    "lighting",
    "precision",
    "seed",
)
"""The settings that the card tells."""

_HEAD = {
    "library_name": "entrannas",
    "pipeline_tag": "image-classification",
    "tags": ["neural-architecture-search", "model_hub_mixin", "pytorch_model_hub_mixin"],
}


class _Tested(Record):
    """What is told of a training's result."""

    model_config = ConfigDict(extra="ignore")

    test_accuracy: float


def write_hub(trained: TrainedNetwork, folder: Path, run: Run) -> None:
    """Write a network into a folder that `TrainedNetwork.from_pretrained` and `load` load, whole or not at all.

    Args:
        trained: the network.
        folder: where; what an earlier export wrote there is replaced, unless it was changed since.
        run: the training, of which the card tells.

    Raises:
        InputError: the folder holds something else, the run is not complete, or the disk refuses.
    """
    folder = folder.absolute()
    _check_free(folder)
    card = _card(trained.description, run.config(TrainConfig), run.read(RESULT, _Tested).test_accuracy)
    part = folder.with_name(f".{folder.name}.part")
    try:
        shutil.rmtree(part, ignore_errors=True)  # of one that was killed
        part.mkdir(parents=True)
        write_whole(part / CARD, card.encode())
        write_whole(part / CONFIG, trained.to_config())
        save_pictures(trained.genotype, part, "")
        write_whole(part / MODEL, trained.to_safetensors(_digests(part)))
        _put(part, folder)
    except OSError as error:
        raise unwritable(folder, error) from None
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _put(part: Path, folder: Path) -> None:
    """Give a folder its name; what has it so far is kept until that is done."""
    old = folder.with_name(f".{folder.name}.old")
    if folder.exists():
        shutil.rmtree(old, ignore_errors=True)
        folder.rename(old)
    try:
        part.rename(folder)
    except OSError:
        if old.exists():
            old.rename(folder)
        raise
    shutil.rmtree(old, ignore_errors=True)


def push(folder: Path, name: str) -> str:
    """Upload a folder that `write_hub` wrote to a repository of the Hugging Face hub, and return its address.

    Args:
        folder: what is uploaded.
        name: of the repository, as user/name; it is made if there is none.

    Raises:
        InputError: the hub cannot be reached, or refuses.
    """
    api = HfApi()
    try:
        address = api.create_repo(name, exist_ok=True)
        api.upload_folder(repo_id=address.repo_id, folder_path=folder, commit_message="Export of entrannas")
    except Exception as error:  # the client's own, and those of its HTTP library, which is not the same in all versions
        why = " ".join(reason(error).split())
        raise InputError(f"cannot push to {name}: {why}; log in by hf auth login, or set HF_TOKEN") from None
    return str(address)


def _check_free(folder: Path) -> None:
    """Refuse a folder that holds anything but what an export wrote, or not as it wrote it."""
    names = names_in(folder)
    if names and not _is_as_written(folder, names):
        raise InputError(f"{folder} holds something else than an export, or was changed since: choose another folder")


def _is_as_written(folder: Path, names: set[str]) -> bool:
    noted = notes_in(folder / MODEL)
    noted.pop("format", None)
    if CARD not in noted or noted.keys() != names - {MODEL}:
        return False
    try:
        return noted == _digests(folder)
    except InputError:  # one is no file
        return False


def _digests(folder: Path) -> dict[str, str]:
    """Return the digests of all files but the weights, which note them."""
    return {path.name: file_digest(path) or "" for path in sorted(folder.iterdir()) if path.name != MODEL}


def _card(description: Description, config: TrainConfig, accuracy: float) -> str:
    """Write the model card; of a folder on this machine it tells the name alone."""
    (channels, height, width), cost = description.shape, description.cost()
    own = os.path.isabs(config.data)
    data = Path(config.data).name if own else config.data
    head = _HEAD | ({} if own or data == "digits" else {"datasets": [data]})
    classes = [_plain(name) for name in description.classes]
    facts = {
        "images": f"{width} x {height} pixels, {'grey' if channels == 1 else 'in colour'}",
        "accuracy": f"{accuracy:.2%} of the test images of {_plain(data)}",
        "parameters": f"{cost.parameters:,}",
        "multiply-adds": f"{cost.multiply_adds:,} for an image",
        "cells": description.cells,
        "channels": f"{description.channels} in the first cells",
        "stem": description.stem,
    }
    learning = {name: shown(getattr(config, name)) for name in _LEARNING}
    cells = [f"![The {kind} cell]({kind}.png)" for kind in description.genotype.cells]
    from_run = ", beginning with the weights of another training" if config.from_run is not None else ""
    return f"""\
---
{yaml.safe_dump(head, sort_keys=False, allow_unicode=True).rstrip()}
---

# A classifier of images into {len(classes)} classes

Classes: {_listed(classes)}.

It was trained by [EnTranNAS](https://arxiv.org/abs/2101.11342), differentiable architecture search in PyTorch.

{_table(facts)}

## Use

```python
import entrannas

# this folder, or its name on the hub
network = entrannas.TrainedNetwork.from_pretrained("user/name")
print(network.predict("picture.jpg"))
```

A picture is brought to the size and the range of the training images by the network itself. `entrannas.load` loads
this folder too, as it does a run. `config.json` says what the network is, `model.safetensors` holds its weights.

## Architecture

{(chr(10) * 2).join(cells)}

As text, from which `entrannas train` trains it again:

```
{description.genotype.to_text()}
```

## Training

On {_plain(data)}{from_run}, with these settings of `entrannas train`:

{_table(learning)}
"""


def _table(rows: Mapping[str, object]) -> str:
    return "\n".join(["| | |", "| --- | --- |", *(f"| {name} | {value} |" for name, value in rows.items())])


def _listed(names: list[str], most: int = 100) -> str:
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more:,} more, see `config.json`" if more > 0 else "")


def _plain(text: str) -> str:
    """Write a text that came with the data so that it is no markup, and stays on its line."""
    printable = "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text)
    return re.sub(r"([\\`*_\[\]<>|~&$!#:@])", r"\\\1", printable)
