"""The classes of a network in plain PyTorch, as text: its cells, and the stack of them.

A cell has an attribute for each connection, and its sums stand in its `forward` as in a paper. A skip connection
without a stride is the node itself. Nodes on which the output of a cell does not depend are left out.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from entrannas.core.genotype import CellGenotype, Connection, Genotype
from entrannas.core.size import Position, positions, stem_channels
from entrannas.learning.description import Description

WIDTH = 120
"""Characters of a line."""

_LAYERS = {
    "max_pool_3x3": "nn.MaxPool2d(3, stride={stride}, padding=1)",
    "avg_pool_3x3": "nn.AvgPool2d(3, stride={stride}, padding=1, count_include_pad=False)",
    "skip_connect": "FactorizedReduce(channels, channels)",
    "sep_conv_3x3": "SepConv(channels, 3{halving})",
    "sep_conv_5x5": "SepConv(channels, 5{halving})",
    "sep_conv_7x7": "SepConv(channels, 7{halving})",
    "dil_conv_3x3": "DilConv(channels, 3{halving})",
    "dil_conv_5x5": "DilConv(channels, 5{halving})",
    "conv_1x1": "ReluConvNorm(channels, channels{halving})",
    "conv_3x3": "ReluConvNorm(channels, channels, 3{halving})",
    "nor_conv_1x1": "ReluConvNorm(channels, channels{halving})",
    "nor_conv_3x3": "ReluConvNorm(channels, channels, 3{halving})",
    "conv_1x3_3x1": "RowColumnConv(channels, 3{halving})",
    "conv_1x7_7x1": "RowColumnConv(channels, 7{halving})",
}
"""How an operation is written, by the classes of `parts`."""

_INPUTS = "farther", "nearer"
_STATEMENT = WIDTH - 8  # characters of a statement of a method


def needed(cell: CellGenotype) -> set[int]:
    """Return the nodes that are computed: those on which the output depends, and node 0 for the shape of empty ones."""
    nodes = cell.needed()
    empty = any(node in nodes and not connections for node, connections in cell.by_node())
    return nodes | ({0} if empty else set())


def network_classes(description: Description) -> list[str]:
    """Return the text of the classes: a cell of each kind that occurs, and the network."""
    stack = list(_stack(description))
    kinds = sorted({place.kind for place in stack})
    return [*(_cell_class(description.genotype, kind, stack) for kind in kinds), _network_class(description, stack)]


def _stack(description: Description) -> Iterator[Position]:
    genotype = description.genotype
    concatenated = {kind: len(cell.output) for kind, cell in genotype.cells.items()}
    return positions(genotype.normal.skeleton, description.size, concatenated)


def _class_name(genotype: Genotype, kind: str) -> str:
    return f"{kind.title()}Cell" if genotype.reduction else "Cell"


def _cell_class(genotype: Genotype, kind: str, stack: Sequence[Position]) -> str:
    cell = genotype.cells[kind]
    layers, steps = _connections(cell, kind)
    steps += _output([f"x{node}" for node in cell.output])
    returned = "the output nodes, concatenated along the channels" if len(cell.output) > 1 else f"node {cell.output[0]}"
    if cell.inputs == 1:
        arguments = ["channels: int"] if any("channels" in layer for layer in layers) else []
        about, maps, told = "node 0 is the output of the cell before it", "x0: Tensor", ""
    else:
        reduced = any(place.reduced for place in stack if place.kind == kind)
        arguments, entrances, entering = _entrance(needed(cell), reduced)
        layers, steps = [*entrances, *layers], [entering, *steps]
        about = "nodes 0 and 1 come from the outputs of the two cells before it"
        maps = ", ".join(f"{name}: Tensor" for name in _INPUTS)
        told = "Take the channels of what comes in and of the nodes"
        told += "; `reduced`: the farther map is twice as high and wide." if "reduced" in arguments[-1] else "."
    size = "Halves" if kind == "reduction" else "Keeps"
    lines = [f"class {_class_name(genotype, kind)}(nn.Module):", f'    """{size} height and width; {about}."""', ""]
    if layers:
        lines.append(f"    def __init__({', '.join(['self', *arguments])}) -> None:")
        lines += _indented([f'"""{told}"""'] if told else [])
        lines += [*_indented(["super().__init__()", *layers]), ""]
    lines.append(f"    def forward(self, {maps}) -> Tensor:")
    return "\n".join([*lines, *_indented([f'"""Return {returned}."""', *steps])])


def _connections(cell: CellGenotype, kind: str) -> tuple[list[str], list[str]]:
    """Return the statements that make the layers of the connections, and those that compute the nodes."""
    used, layers, steps = needed(cell), list[str](), list[str]()
    for node, connections in cell.by_node():
        if node not in used:
            continue
        terms = []
        for name, connection in _named(node, connections):
            halves = kind == "reduction" and connection.input < cell.inputs
            if connection.operation == "skip_connect" and not halves:
                terms.append(f"x{connection.input}")
                continue
            layer = _LAYERS[connection.operation].format(stride=1 + halves, halving=", stride=2" * halves)
            layers.append(f"self.{name} = {layer}")
            terms.append(f"self.{name}(x{connection.input})")
        steps += _sum(f"x{node}", terms or ["torch.zeros_like(x0)"])
    return layers, steps


def _named(node: int, connections: Iterable[Connection]) -> Iterator[tuple[str, Connection]]:
    """Name the connections of a node; an operation that comes again on an edge is numbered."""
    met = Counter[str]()
    for connection in connections:
        name = f"{connection.operation}_{connection.input}_to_{node}"
        met[name] += 1
        yield name if met[name] == 1 else f"{name}_no{met[name]}", connection


def _entrance(used: set[int], reduced: bool) -> tuple[list[str], list[str], str]:
    """Return what a cell of two inputs takes, the statements that make what brings these to its channels, its first."""
    names = {f"x{node}": name for node, name in enumerate(_INPUTS) if node in used}
    arguments = [*(f"{name}: int" for name in names.values()), "channels: int"]
    layers = {name: f"ReluConvNorm({name}, channels)" for name in names.values()}
    if reduced and 0 in used:
        arguments.append("reduced: bool = False")
        layers["farther"] = f"FactorizedReduce(farther, channels) if reduced else {layers['farther']}"
    entering = f"{', '.join(names)} = {', '.join(f'self.{name}({name})' for name in names.values())}"
    return arguments, [f"self.{name} = {layer}" for name, layer in layers.items()], entering


def _network_class(description: Description, stack: Sequence[Position]) -> str:
    genotype, (channels, height, width) = description.genotype, description.shape
    skeleton, features, classes = genotype.normal.skeleton, stack[-1].out_channels, len(description.classes)
    layers = [
        'self.register_buffer("mean", torch.tensor(MEAN).view(1, -1, 1, 1), persistent=False)',
        'self.register_buffer("std", torch.tensor(STD).view(1, -1, 1, 1), persistent=False)',
    ]
    cells = [cell for place in stack for cell in _built(genotype, place)]
    if skeleton.inputs == 1:
        layers += _listed("self.stem = nn.Sequential(", [one for part in _stem(description) for one in part], ")")
        layers += _listed("self.cells = nn.Sequential(", cells, ")")
        steps, last = ["x = self.cells(self.stem((images - self.mean) / self.std))"], "x"
    else:
        names = ("stem",) if description.stem == "cifar" else ("quarter", "eighth")
        for name, part in zip(names, _stem(description), strict=True):
            layers += _listed(f"self.{name} = nn.Sequential(", part, ")")
        layers += ["self.cells = nn.ModuleList(", *(f"    {line}" for line in _listed("[", cells, "]")), ")"]
        target = "farther = nearer" if description.stem == "cifar" else "farther"
        steps = [f"{target} = self.{names[0]}((images - self.mean) / self.std)"]
        steps += ["nearer = self.eighth(farther)"] if description.stem == "imagenet" else []
        steps += ["for cell in self.cells:", "    farther, nearer = nearer, cell(farther, nearer)"]
        last = "nearer"
    if skeleton.head:
        layers.append(f"self.head = nn.Sequential(nn.BatchNorm2d({features}), nn.ReLU())")
        last = f"self.head({last})"
    layers.append(f"self.classifier = nn.Linear({features}, {classes})")
    steps.append(f"return self.classifier({last}.mean(dim=(2, 3)))")
    maps = f'"""Map pixels from 0 to 1, [batch, {channels}, {height}, {width}], to logits [batch, {classes}]."""'
    lines = [
        "class Network(nn.Module):",
        '    """A stem, the cells, global average pooling, a linear classifier; it normalises the pixels itself."""',
        "",
        "    mean: Tensor",
        "    std: Tensor",
        "",
        "    def __init__(self) -> None:",
        *_indented(["super().__init__()", *layers]),
        "",
        "    def forward(self, images: Tensor) -> Tensor:",
        *_indented([maps, *steps]),
    ]
    return "\n".join(lines)


def _stem(description: Description) -> list[list[str]]:
    """Return the layers of the stem: all, or those up to a quarter of the image's height, and up to an eighth."""
    images, width = description.shape[0], stem_channels(description.genotype.normal.skeleton, description.size)
    if description.stem == "cifar":
        return [[f"nn.Conv2d({images}, {width}, 3, padding=1, bias=False)", f"nn.BatchNorm2d({width})"]]

    def halving(before: int, after: int) -> list[str]:
        return [f"nn.Conv2d({before}, {after}, 3, stride=2, padding=1, bias=False)", f"nn.BatchNorm2d({after})"]

    half = width // 2
    return [[*halving(images, half), "nn.ReLU()", *halving(half, width)], ["nn.ReLU()", *halving(width, width)]]


def _built(genotype: Genotype, place: Position) -> Iterator[str]:
    """Write how a cell of the stack is built, and what stands before it."""
    cell, channels = genotype.cells[place.kind], place.channels
    used, name = needed(cell), _class_name(genotype, place.kind)
    if cell.inputs == 1:
        if place.before[1] != channels:
            yield f"ResidualReduction({place.before[1]}, {channels})"
        layers, _ = _connections(cell, place.kind)
        yield f"{name}({channels})" if any("channels" in layer for layer in layers) else f"{name}()"
    else:
        before = [str(number) for node, number in enumerate(place.before) if node in used]
        reduced = ", reduced=True" if place.reduced and 0 in used else ""
        yield f"{name}({', '.join(before)}, {channels}{reduced})"


def _sum(name: str, terms: Sequence[str]) -> list[str]:
    line = f"{name} = {' + '.join(terms)}"
    if len(line) <= _STATEMENT:
        return [line]
    return [f"{name} = (", f"    {terms[0]}", *(f"    + {term}" for term in terms[1:]), ")"]


def _output(nodes: Sequence[str]) -> list[str]:
    if len(nodes) == 1:
        return [f"return {nodes[0]}"]
    line = f"return torch.cat([{', '.join(nodes)}], dim=1)"
    return [line] if len(line) <= _STATEMENT else [*_listed("nodes = [", nodes, "]"), "return torch.cat(nodes, dim=1)"]


def _listed(opening: str, items: Iterable[str], closing: str) -> list[str]:
    return [opening, *(f"    {item}," for item in items), closing]


def _indented(lines: Iterable[str]) -> list[str]:
    """Indent the lines of a method."""
    return [f"        {line}" for line in lines]
