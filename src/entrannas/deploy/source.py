"""A trained network as a file of Python that a person might have written: plain PyTorch, its weights beside it.

It needs torch, safetensors and Pillow, and nothing of this package: the cells and their stack are written by `classes`,
and of `parts` the text is copied of what occurs.
"""

import inspect
import re
import sys
import textwrap
from collections.abc import Iterator
from functools import cache
from itertools import count
from keyword import iskeyword
from pathlib import Path
from types import ModuleType

import torch
from safetensors.torch import save
from torch import Tensor

from entrannas.core.errors import InputError
from entrannas.core.genotype import Genotype
from entrannas.deploy import parts
from entrannas.deploy.classes import WIDTH, needed, network_classes
from entrannas.deploy.notes import notes_in
from entrannas.files.whole import digest_of, file_digest, write_whole
from entrannas.learning.description import Description
from entrannas.learning.trained import TrainedNetwork

BESIDE = "weights.safetensors"
"""The file of weights that lies beside the Python file."""

_NOTED, _DIGESTS = "beside", "digests"
"""The notes in it: the name of the Python file, and the digests that this may have."""

_INDENT = "    "
_IMPORTED = {"PIL", "safetensors", "torch"}

_LAYERS = "ReluConvNorm", "SepConv", "DilConv", "RowColumnConv", "FactorizedReduce", "ResidualReduction"
"""Of `parts`, each behind those that it uses."""

_IMPORTS = """\
import sys
from functools import cache
from pathlib import Path

import torch
from PIL import Image, ImageOps
from safetensors.torch import load_file
from torch import Tensor, nn"""

_REFUSE_WIDE = '''\
def in_8_bits(image: Image.Image) -> Image.Image:
    """Refuse grey of more than 8 bits: no training image had it, so its range is not known."""
    raise ValueError(f"the image has more than 8 bits a pixel (mode {image.mode})")'''

_RUN = """\
if __name__ == "__main__":
    main()
"""


def write_source(trained: TrainedNetwork, path: Path) -> None:
    """Write the network as a Python file, with `weights.safetensors` beside it.

    Two files cannot be replaced at once. So the weights come first, and note the digest of the Python file that is
    there as well as that of the one that is to be there: what a kill leaves is known as an export's.

    Raises:
        InputError: as `check_place` does, or the disk refuses.
    """
    check_place(path)
    text = source_text(trained.description, path.stem)
    with torch.device("meta"):  # names and shapes are all that is wanted
        written = source_module(trained.description, path).Network().state_dict()
    tensors = dict(zip(written, _tensors(trained), strict=True))  # both are in the order in which the layers stand
    assert all(tensor.shape == written[name].shape for name, tensor in tensors.items())
    digests = filter(None, (file_digest(path), digest_of(text.encode())))
    notes = {"format": "pt", _NOTED: path.name, _DIGESTS: " ".join(digests)}
    write_whole(path.with_name(BESIDE), save(tensors, notes))
    write_whole(path, text.encode())


def check_place(path: Path) -> None:
    """Refuse a path where the file could not be imported, or would replace what is not an export's.

    Raises:
        InputError: so it is.
    """
    example = path.with_name("my_network.py")
    if path.suffix != ".py" or not path.stem.isidentifier() or iskeyword(path.stem):
        raise InputError(f"{path} could not be imported: give it a name such as {example}")
    if path.stem in sys.stdlib_module_names | _IMPORTED:
        raise InputError(f"{path} would stand before the {path.stem} that is meant: give it a name such as {example}")
    weights = path.with_name(BESIDE)
    notes = notes_in(weights)
    if weights.exists() and notes.get(_NOTED) != path.name:
        owner = notes.get(_NOTED, "something else")
        raise InputError(f"{weights} is of {owner}: choose another folder for {path.name}")
    there = file_digest(path)
    if there is not None and there not in notes.get(_DIGESTS, "").split():
        raise InputError(f"{path} was not written by an export, or was changed since: choose another name")


def source_module(description: Description, path: Path) -> ModuleType:
    """Return what importing the file at a path would give, with the weights beside it.

    The text is made anew from the description, in which names are literals and operations are those of a table. No file
    is executed, whoever wrote it.
    """
    module = ModuleType(f"_{path.stem}")
    module.__file__ = str(path)
    exec(compile(source_text(description, path.stem), path, "exec"), vars(module))
    return module


def _tensors(trained: TrainedNetwork) -> Iterator[Tensor]:
    """Yield the weights of the layers that are written."""
    genotype, unused = trained.genotype, list[str]()
    for index, kind in enumerate(genotype.normal.skeleton.cell_kinds(trained.description.cells)):
        cell, used, number = genotype.cells[kind], needed(genotype.cells[kind]), count()
        layers = {f"inputs.{name}": node for node, name in enumerate(("farther", "nearer")[-cell.inputs :])}
        layers |= {f"operations.{next(number)}": node for node, connections in cell.by_node() for _ in connections}
        unused += [f"cells.{index}.{layer}." for layer, node in layers.items() if node not in used]
    for name, tensor in trained.network.state_dict().items():
        if not name.startswith(tuple(unused)):
            yield tensor.contiguous()


def source_text(description: Description, name: str) -> str:
    """Return the text of the file, which is imported by that name."""
    classes = network_classes(description)
    for layer in reversed(_LAYERS):
        if any(f"{layer}(" in text for text in classes):
            classes.insert(0, _copied(layer))
    imports = _IMPORTS + ("\nfrom torch.nn import functional as F" if any("F.pad(" in text for text in classes) else "")
    head = f"{_docstring(description, name)}\n\n{imports}\n\n{_constants(description)}"
    in_8_bits = _copied("in_8_bits") if _knows_range(description) else _REFUSE_WIDE
    functions = map(_copied, ("pixels", "preprocess", "_loaded", "predict", "main"))
    return "\n\n\n".join([head, *classes, _copied("load"), in_8_bits, *functions, _RUN])


@cache
def _copied(name: str) -> str:
    return inspect.getsource(getattr(parts, name)).rstrip()


def _knows_range(description: Description) -> bool:
    return None not in (description.pixels.low, description.pixels.high)


def _docstring(description: Description, name: str) -> str:
    (channels, height, width), classes = description.shape, len(description.classes)
    images = f"{width} x {height} pixels, {'grey' if channels == 1 else 'in colour'}"
    cells = "one cell" if description.cells == 1 else f"{description.cells} cells"
    return f'''\
"""A classifier of images of {images}, into {classes} classes.

EnTranNAS trained it (https://arxiv.org/abs/2101.11342) and wrote this file. It stacks {cells} of this architecture:

{_genotype(description.genotype)}

With torch, safetensors and Pillow, and {BESIDE} beside this file:

    import {name}

    {name}.predict("picture.jpg")  # the most probable classes, with their probabilities
    {name}.load()  # an nn.Module, from pixels [batch, {channels}, {height}, {width}] to logits [batch, {classes}]

or, as a command: python {name}.py picture.jpg
"""'''


def _genotype(genotype: Genotype) -> str:
    """Write a genotype over several lines: each field on its own, and no pair parted."""
    head, *fields = re.split(r"(?<=[(,]) ?(?=[a-z_]+=)", genotype.to_text().replace("', ", "',\0"))
    lines = [textwrap.fill(head, WIDTH, initial_indent=_INDENT, subsequent_indent=_INDENT)]
    lines += [
        textwrap.fill(field, WIDTH, initial_indent=2 * _INDENT, subsequent_indent=3 * _INDENT) for field in fields
    ]
    return "\n".join(lines).replace("\0", " ")


def _constants(description: Description) -> str:
    (channels, height, width), rules = description.shape, description.pixels
    normalisation, names = description.normalisation, [_literal(name) for name in description.classes]
    classes = f"CLASSES = ({', '.join(names)})"
    if len(classes) > WIDTH or not classes.isascii():  # other letters may be twice as wide
        classes = "\n".join(["CLASSES = (", *(f"    {name}," for name in names), ")"])
    lines = [
        classes,
        f"CHANNELS, HEIGHT, WIDTH = {channels}, {height}, {width}",
        f"MEAN = {normalisation.mean}  # of pixels from 0 to 1",
        f"STD = {normalisation.std}",
        f"BACKGROUND = {_literal(rules.background)}  # behind transparent images",
        f"BORDER = {rules.border}  # of the sides, left out on each before the centre is cropped",
    ]
    if _knows_range(description):
        lines.append(f"LOWEST, HIGHEST = {rules.low}, {rules.high}  # of grey of more than 8 bits in training")
    return "\n".join([*lines, f'WEIGHTS = Path(__file__).with_name("{BESIDE}")'])


def _literal(text: str) -> str:
    """Write a text as a literal, in double quotes unless it has more of these itself than single ones.

    What is not printable is escaped, and with it the marks by which text is made to run backwards.
    """
    inside = repr('"' + text)[2:-1]  # so it is in single quotes, and those inside are escaped
    if text.count('"') > text.count("'"):
        return f"'{inside}'"
    return '"' + inside.replace("\\'", "'").replace('"', '\\"') + '"'
