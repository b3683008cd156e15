"""The commands: each turns its flags into a configuration, calls one function, and prints what came of it."""

import json
import os
import sys
from collections.abc import Mapping
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer
import yaml

from entrannas.analysis.gap import consistency as run_consistency
from entrannas.architecture.drawing import save_pictures
from entrannas.architecture.genotype import PUBLISHED, Genotype, load_genotype
from entrannas.cli.benching import bench_app
from entrannas.cli.flags import (
    LEARNING,
    NETWORK,
    RUN,
    ConfigFile,
    CropPadding,
    Cutout,
    Data,
    DeviceFlag,
    Flip,
    ImageSize,
    Json,
    Out,
    PrecisionFlag,
    Resume,
    Seed,
    StemFlag,
    Subset,
    flag,
)
from entrannas.errors import InputError
from entrannas.networks.costs import cost
from entrannas.networks.stacks import build_network
from entrannas.runs.configuration import Configuration, target_size
from entrannas.runs.progress import reporter
from entrannas.runs.run import Run
from entrannas.runtime.memory import shortage
from entrannas.searching.configuration import SearchConfig
from entrannas.searching.loop import search as run_search
from entrannas.training.loop import TrainConfig, TrainResult
from entrannas.training.loop import evaluate as run_evaluate
from entrannas.training.loop import train as run_train

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    help="Search a network architecture on your images (EnTranNAS, CVPR 2021), train what was found, use it.",
)

app.add_typer(bench_app, name="bench")


def _version(wanted: bool) -> None:
    if wanted:
        print(f"entrannas {version('entrannas')}")
        raise typer.Exit


@app.callback()
def _main(
    version: Annotated[bool, typer.Option("--version", help="Print the version.", callback=_version)] = False,
) -> None:
    pass


@app.command()
def search(
    context: typer.Context,
    data: Data = None,
    subset: Subset = None,
    image_size: ImageSize = None,
    crop_padding: CropPadding = None,
    cutout: Cutout = None,
    flip: Flip = None,
    space: Annotated[
        str | None, flag(NETWORK, "The search space: darts, darts-extended or nasbench201. Default: darts.")
    ] = None,
    nodes: Annotated[int | None, flag(NETWORK, "Intermediate nodes of a cell. Default: 4; nasbench201 3.")] = None,
    cells: Annotated[int | None, flag(NETWORK, "Cells of the super-net. Default: 8.")] = None,
    channels: Annotated[int | None, flag(NETWORK, "Channels of its first cells. Default: 16.")] = None,
    stem: StemFlag = None,
    method: Annotated[
        str | None,
        flag(
            LEARNING,
            "entrannas, entrannas-dst (topology learned; entrannas-dst-edge is its other reading), darts, darts-2nd "
            "(second order), pc-darts, gdas or random. Default: entrannas.",
        ),
    ] = None,
    engines: Annotated[
        str | None,
        flag(LEARNING, "Which cells are Engine-cells, counted from 0: 5,7 or all. Default: the last of each kind."),
    ] = None,
    tau: Annotated[
        tuple[float, float] | None,
        flag(LEARNING, "Temperature at the start and at the end. Default: 1.0 0.1; gdas 10 0.1.", metavar="START END"),
    ] = None,
    epochs: Annotated[int | None, flag(LEARNING, "Over the two halves of the training set. Default: 50.")] = None,
    warmup_epochs: Annotated[
        int | None, flag(LEARNING, "At the start, alpha untouched. Default: 0; DST 2/5 of all, pc-darts 3/10.")
    ] = None,
    settling_epochs: Annotated[
        int | None, flag(LEARNING, "At the end, alpha untouched. Default: 0; nasbench201 1/4.")
    ] = None,
    batch_size: Annotated[int | None, flag(LEARNING, "Images of a step. Default: 256; darts, gdas 64.")] = None,
    weights_lr: Annotated[
        float | None, flag(LEARNING, "Learning rate of the weights. Default: 0.1 at batch 256, in proportion to it.")
    ] = None,
    alpha_lr: Annotated[
        float | None,
        flag(LEARNING, "Learning rate of alpha. Default: as far as it goes in the method's paper, over its steps."),
    ] = None,
    beta_lr: Annotated[
        float | None, flag(LEARNING, "Learning rate of entrannas-dst's thresholds. Default: 0.1.")
    ] = None,
    target_connections: Annotated[
        float | None,
        flag(LEARNING, "Connections a node, on average, that entrannas-dst is pulled to; 0: no pull. Default: 2."),
    ] = None,
    derive: Annotated[
        str | None,
        flag(LEARNING, "When Transit-cells get what is derived: after each step, epoch, or at the end. Default: step."),
    ] = None,
    trials: Annotated[
        int | None,
        flag(
            LEARNING,
            "Neighbours, with one operation exchanged, that compete at the end with what alpha has derived, each "
            "trained for a short time. Default: 0; nasbench201 18, all of them.",
        ),
    ] = None,
    trial_cells: Annotated[
        int | None, flag(LEARNING, "Cells of what competes. Default: three times --cells, at most those of a training.")
    ] = None,
    trial_steps: Annotated[
        int | None, flag(LEARNING, "Of its training; twice as many for the best quarter. Default: 150.")
    ] = None,
    picture_every: Annotated[int | None, flag(RUN, "Epochs between two pictures of the cells. Default: 10.")] = None,
    seed: Seed = None,
    device: DeviceFlag = None,
    precision: PrecisionFlag = None,
    out: Out = None,
    resume: Resume = False,
    config: ConfigFile = None,
    as_json: Json = False,
) -> None:
    """Search an architecture: leaves a run directory with a genotype in it.

    The defaults are the paper's CIFAR-10 protocol; the embedded digits have a small preset.
    """
    resolved = _resolve(SearchConfig, context, config, _resumed(out) if resume else {})
    result = run_search(resolved, out, resume, reporter())
    print(f"run             {result.run}")
    _print_cells(result.genotype)
    _print_cost(result.parameters, result.multiply_adds)
    print(f"next            entrannas train {result.run}")
    if as_json:
        print(json.dumps(asdict(result) | {"run": str(result.run), "genotype": json.loads(result.genotype.to_json())}))


@app.command()
def train(
    context: typer.Context,
    genotype: Annotated[
        str,
        typer.Argument(
            metavar="GENOTYPE|RUN",
            help=f"A search's run directory, a genotype file, or one of {', '.join(PUBLISHED)}.",
        ),
    ],
    data: Data = None,
    subset: Subset = None,
    image_size: ImageSize = None,
    crop_padding: CropPadding = None,
    cutout: Cutout = None,
    flip: Flip = None,
    cells: Annotated[int | None, flag(NETWORK, "Cells of the network. Default: 20; imagenet 14.")] = None,
    channels: Annotated[int | None, flag(NETWORK, "Channels of its first cells. Default: 36; imagenet 48.")] = None,
    stem: StemFlag = None,
    auxiliary: Annotated[
        float | None, flag(NETWORK, "Weight of the auxiliary head's loss, 0 for none. Default: 0.4.")
    ] = None,
    drop_path: Annotated[float | None, flag(LEARNING, "Drop path, rising to this. Default: 0.2; imagenet 0.")] = None,
    epochs: Annotated[int | None, flag(LEARNING, "Over the training set. Default: 600; imagenet 250.")] = None,
    warmup_epochs: Annotated[int | None, flag(LEARNING, "Linear warm-up. Default: 0; imagenet 5.")] = None,
    batch_size: Annotated[int | None, flag(LEARNING, "Images of a step. Default: 96; imagenet 1024.")] = None,
    lr: Annotated[
        float | None,
        flag(LEARNING, "Learning rate. Default: 0.025 at batch 96; imagenet 0.5 at 1024; in proportion."),
    ] = None,
    weight_decay: Annotated[float | None, flag(LEARNING, "Weight decay. Default: 3e-4; imagenet 3e-5.")] = None,
    label_smoothing: Annotated[float | None, flag(LEARNING, "Label smoothing. Default: 0; imagenet 0.1.")] = None,
    seed: Seed = None,
    device: DeviceFlag = None,
    precision: PrecisionFlag = None,
    out: Out = None,
    resume: Resume = False,
    config: ConfigFile = None,
    as_json: Json = False,
) -> None:
    """Train the network of a genotype from scratch, and test it once at the end.

    The defaults are the protocol of the DARTS family. Behind a RUN, [DATA] may be left out: it is the run's.
    """
    found = load_genotype(genotype)
    resolved = _resolve(TrainConfig, context, config, _resumed(out) if resume else _inherited(genotype, data))
    _print_test(run_train(found, resolved, out, resume, reporter()), as_json)


@app.command()
def evaluate(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="The run directory of a training.")],
    data: Data = None,
    device: DeviceFlag = None,
    as_json: Json = False,
) -> None:
    """Measure the test accuracy of a trained run; [DATA] is the run's own unless given."""
    _print_test(run_evaluate(run, data, device or "auto"), as_json)


@app.command()
def consistency(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="The run directory of a search.")],
    data: Data = None,
    device: DeviceFlag = None,
    as_json: Json = False,
) -> None:
    """Measure how far a search's super-net is from the network it derives, on the test images of [DATA].

    [DATA] is the run's own unless given. Leaves a plot and the figures in RUN.
    """
    result = run_consistency(run, data, device or "auto")
    print(f"super-net       {100 * result.supernet_accuracy:.2f} %")
    print(f"derived         {100 * result.derived_accuracy:.2f} %")
    print(f"gap             {100 * result.gap:.2f} points")
    print(f"dropped mass    {100 * result.dropped_mass:.2f} %")
    print(f"changes         {', '.join(map(str, result.changes))}")
    print(f"plot            {result.run / 'consistency.png'}")
    if as_json:
        print(json.dumps(asdict(result) | {"run": str(result.run)}))


@app.command()
def show(
    genotype: Annotated[
        str,
        typer.Argument(
            metavar="GENOTYPE|RUN", help=f"A run directory, a genotype file, or one of {', '.join(PUBLISHED)}."
        ),
    ],
    cells: Annotated[int | None, flag(NETWORK, "Cells of the network. Default: 20; imagenet 14; a RUN's own.")] = None,
    channels: Annotated[int | None, flag(NETWORK, "Channels of its first cells. Default: 36; imagenet 48.")] = None,
    stem: StemFlag = None,
    classes: Annotated[int | None, flag(NETWORK, "Outputs. Default: 10; imagenet 1000; a RUN's own.")] = None,
    image_size: Annotated[
        int | None, flag(NETWORK, "Side of the image. Default: 32; imagenet 224; a RUN's own.")
    ] = None,
    out: Annotated[Path, typer.Option(help="Where the pictures go.")] = Path("pictures"),
    as_json: Json = False,
) -> None:
    """Show a genotype: its cells as pictures, its connections, parameters and multiply-adds of its network."""
    found = load_genotype(genotype)
    run = Run.find(genotype)
    settings = run.read_json("config.json") if run else {}
    stem = stem or settings.get("stem", "cifar")
    size = target_size(settings.get("data", ""), stem)
    if run and run.command == "train":
        size = settings["cells"], settings["channels"]
    side, outputs = (224, 1000) if stem == "imagenet" else (32, 10)
    shape = 3, side, side
    if run:
        shape, outputs = run.data().shape, len(run.data().classes)
    if image_size is not None:
        shape = shape[0], image_size, image_size
    network = build_network(
        found, classes or outputs, cells or size[0], channels or size[1], stem, in_channels=shape[0]
    )
    costs = cost(network, shape)
    _print_cells(found)
    _print_cost(costs.parameters, costs.multiply_adds)
    name = Path(genotype).stem if genotype in PUBLISHED or os.path.exists(genotype) else "genotype"
    for path in save_pictures(found, out, f"{name}-"):
        print(f"picture         {path}")
    if as_json:
        print(json.dumps({"genotype": json.loads(found.to_json())} | asdict(costs)))


Config = TypeVar("Config", bound=Configuration)


def _resolve(model: type[Config], context: typer.Context, file: Path | None, stored: Mapping[str, Any]) -> Config:
    """Resolve the configuration: flags win over the file, the file over what a run has stored, that over defaults."""
    given = {name: value for name, value in context.params.items() if name in model.model_fields and value is not None}
    return model.resolve({**stored, **_read_config(file), **given})


def _read_config(file: Path | None) -> dict[str, Any]:
    if file is None:
        return {}
    try:
        settings = yaml.safe_load(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"cannot read the configuration {file}: {error.strerror}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"{file} is no YAML: {error}") from None
    if not isinstance(settings, dict):
        raise InputError(f"{file} is no configuration: expected lines of the form name: value")
    return settings


def _resumed(out: Path | None) -> dict[str, Any]:
    if out is None:
        raise InputError("--resume needs --out: the run directory to go on with")
    return Run.open(out).read_json("config.json")


def _inherited(genotype: str, data: str | None) -> dict[str, Any]:
    """What a training takes over from the run that its genotype comes from: the data, unless others are given."""
    run = Run.find(genotype)
    settings = run.read_json("config.json") if run else {}
    same = data is None or data == settings.get("data")
    return {name: settings[name] for name in ("data", "image_size", "stem") if same and name in settings}


def _print_cells(genotype: Genotype) -> None:
    for kind, cell in genotype.cells.items():
        names = [*["c_{k-2}", "c_{k-1}"][-cell.inputs :], *map(str, range(len(cell.nodes)))]
        for node, connections in cell.by_node():
            head = f"{kind} cell" if node == cell.inputs else ""
            source = " + ".join(f"{c.operation}({names[c.input]})" for c in connections)
            print(f"{head:<16}{node - cell.inputs} = {source or 0}")


def _print_cost(parameters: int, multiply_adds: int) -> None:
    print(f"parameters      {parameters:,}")
    print(f"multiply-adds   {multiply_adds:,}")


def _print_test(result: TrainResult, as_json: bool) -> None:
    print(f"run             {result.run}")
    print(f"test accuracy   {100 * result.test_accuracy:.2f} %")
    print(f"test loss       {result.test_loss:.4f}")
    _print_cost(result.parameters, result.multiply_adds)
    if as_json:
        print(json.dumps(asdict(result) | {"run": str(result.run)}))


_INTERRUPTED = 130  # what Typer makes of Ctrl-C


def main() -> None:
    """Run the command line; what the user can mend is one line on stderr and exit code 2."""
    try:
        code = app(standalone_mode=False) or 0
    except InputError as error:
        code = _fail(str(error))
    except Exception as error:
        if lack := shortage(error):
            code = _fail(f"{lack}: make room and try again")
        elif hasattr(error, "format_message"):  # what all of Click's usage errors have, wherever Typer keeps them
            code = _fail(error.format_message())
        else:
            raise
    if code == _INTERRUPTED:
        print("entrannas: interrupted; --resume goes on after the last whole epoch or trial", file=sys.stderr)
    sys.exit(code)


def _fail(message: str) -> int:
    print(f"entrannas: {' '.join(message.split())}", file=sys.stderr)
    return 2
