"""The commands: each turns its flags into a configuration, calls one function, and prints what came of it."""

import json
import os
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer
import yaml

from entrannas.benchmark import BUDGETS, Budget, benchmark
from entrannas.configuration import Configuration, target_size
from entrannas.consistency import consistency as run_consistency
from entrannas.cost import cost
from entrannas.drawing import save_pictures
from entrannas.errors import InputError
from entrannas.genotype import PUBLISHED, Genotype, load_genotype
from entrannas.nasbench201 import DATASETS
from entrannas.networks import Stem, build_network
from entrannas.progress import reporter
from entrannas.ranking import rank as run_rank
from entrannas.runs import Run
from entrannas.runtime import Device, Precision
from entrannas.search import SearchConfig
from entrannas.search import search as run_search
from entrannas.training import TrainConfig, TrainResult
from entrannas.training import evaluate as run_evaluate
from entrannas.training import train as run_train

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    help="Search a network architecture on your images (EnTranNAS, CVPR 2021), train what was found, use it.",
)

bench_app = typer.Typer(
    no_args_is_help=True, help="Judge searches by NAS-Bench-201, whose architectures are all trained."
)
app.add_typer(bench_app, name="bench")

_DATA = "The data"
_NETWORK = "The network"
_LEARNING = "Learning"
_RUN = "The run"

Data = Annotated[
    str | None,
    typer.Argument(
        metavar="[DATA]",
        help="digits (embedded, the default), a directory of class folders or of parquet files, or the name of a "
        "data set on the Hugging Face hub, such as uoft-cs/cifar10.",
        show_default=False,
    ),
]


def _flag(panel: str, text: str, *names: str, **options: Any) -> Any:
    """A flag; its default is told in the text, since it depends on the protocol and on the data."""
    return typer.Option(*names, help=text, rich_help_panel=panel, show_default=False, **options)


Subset = Annotated[
    float | None, _flag(_DATA, "A class-balanced part of the training set: a fraction up to 1, or a count.")
]
ImageSize = Annotated[int | None, _flag(_DATA, "Bring images to squares of this side. Images of one size keep it.")]
CropPadding = Annotated[
    float | None, _flag(_DATA, "Border for random crops, as a fraction of the side. Default: 0.125.")
]
Cutout = Annotated[
    float | None, _flag(_DATA, "Square to cut out, as a fraction of the side. Default: search 0, train 0.5.")
]
Flip = Annotated[
    bool | None, _flag(_DATA, "Mirror half of the images. Default: flip; digits no-flip.", "--flip/--no-flip")
]
StemFlag = Annotated[
    Stem | None,
    _flag(_NETWORK, "cifar, or imagenet for images of 96 pixels and more: three strides of 2. Default: cifar."),
]
Seed = Annotated[int | None, _flag(_RUN, "Of everything that is drawn. Default: 0.")]
DeviceFlag = Annotated[Device | None, _flag(_RUN, "auto is CUDA where there is one. Default: auto.")]
PrecisionFlag = Annotated[Precision | None, _flag(_RUN, "32-true or bf16-mixed. Default: 32-true.")]
Out = Annotated[Path | None, _flag(_RUN, "The run directory. Default: a new one in runs/.")]
Resume = Annotated[bool, _flag(_RUN, "Go on with the run in --out after its last whole epoch.", "--resume")]
ConfigFile = Annotated[Path | None, _flag(_RUN, "Settings from a YAML file; flags win over it.", "--config")]
Json = Annotated[bool, _flag(_RUN, "End stdout with one JSON object.", "--json")]


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
        str | None, _flag(_NETWORK, "The search space: darts, darts-extended or nasbench201. Default: darts.")
    ] = None,
    nodes: Annotated[int | None, _flag(_NETWORK, "Intermediate nodes of a cell. Default: 4; nasbench201 3.")] = None,
    cells: Annotated[int | None, _flag(_NETWORK, "Cells of the super-net. Default: 8.")] = None,
    channels: Annotated[int | None, _flag(_NETWORK, "Channels of its first cells. Default: 16.")] = None,
    stem: StemFlag = None,
    method: Annotated[
        str | None,
        _flag(
            _LEARNING,
            "entrannas, entrannas-dst (topology learned; entrannas-dst-edge is its other reading), darts, darts-2nd "
            "(second order), pc-darts, gdas or random. Default: entrannas.",
        ),
    ] = None,
    engines: Annotated[
        str | None,
        _flag(_LEARNING, "Which cells are Engine-cells, counted from 0: 5,7 or all. Default: the last of each kind."),
    ] = None,
    tau: Annotated[
        tuple[float, float] | None,
        _flag(
            _LEARNING, "Temperature at the start and at the end. Default: 1.0 0.1; gdas 10 0.1.", metavar="START END"
        ),
    ] = None,
    epochs: Annotated[int | None, _flag(_LEARNING, "Over the two halves of the training set. Default: 50.")] = None,
    warmup_epochs: Annotated[
        int | None, _flag(_LEARNING, "At the start, alpha untouched. Default: 0; DST 1/8 of all, pc-darts 3/10.")
    ] = None,
    batch_size: Annotated[int | None, _flag(_LEARNING, "Images of a step. Default: 256; darts, gdas 64.")] = None,
    weights_lr: Annotated[
        float | None, _flag(_LEARNING, "Learning rate of the weights. Default: 0.1 at batch 256, in proportion to it.")
    ] = None,
    alpha_lr: Annotated[
        float | None,
        _flag(_LEARNING, "Learning rate of alpha. Default: as far as it goes in the method's paper, over its steps."),
    ] = None,
    beta_lr: Annotated[
        float | None, _flag(_LEARNING, "Learning rate of entrannas-dst's thresholds. Default: 0.1.")
    ] = None,
    target_connections: Annotated[
        float | None,
        _flag(_LEARNING, "Connections a node, on average, that entrannas-dst is pulled to; 0: no pull. Default: 2."),
    ] = None,
    derive: Annotated[
        str | None,
        _flag(
            _LEARNING, "When Transit-cells get what is derived: after each step, epoch, or at the end. Default: step."
        ),
    ] = None,
    picture_every: Annotated[int | None, _flag(_RUN, "Epochs between two pictures of the cells. Default: 10.")] = None,
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
        _print_json(asdict(result) | {"run": str(result.run), "genotype": json.loads(result.genotype.to_json())})


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
    cells: Annotated[int | None, _flag(_NETWORK, "Cells of the network. Default: 20; imagenet 14.")] = None,
    channels: Annotated[int | None, _flag(_NETWORK, "Channels of its first cells. Default: 36; imagenet 48.")] = None,
    stem: StemFlag = None,
    auxiliary: Annotated[
        float | None, _flag(_NETWORK, "Weight of the auxiliary head's loss, 0 for none. Default: 0.4.")
    ] = None,
    drop_path: Annotated[float | None, _flag(_LEARNING, "Drop path, rising to this. Default: 0.2; imagenet 0.")] = None,
    epochs: Annotated[int | None, _flag(_LEARNING, "Over the training set. Default: 600; imagenet 250.")] = None,
    warmup_epochs: Annotated[int | None, _flag(_LEARNING, "Linear warm-up. Default: 0; imagenet 5.")] = None,
    batch_size: Annotated[int | None, _flag(_LEARNING, "Images of a step. Default: 96; imagenet 1024.")] = None,
    lr: Annotated[
        float | None,
        _flag(_LEARNING, "Learning rate. Default: 0.025 at batch 96; imagenet 0.5 at 1024; in proportion."),
    ] = None,
    weight_decay: Annotated[float | None, _flag(_LEARNING, "Weight decay. Default: 3e-4; imagenet 3e-5.")] = None,
    label_smoothing: Annotated[float | None, _flag(_LEARNING, "Label smoothing. Default: 0; imagenet 0.1.")] = None,
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
        _print_json(asdict(result) | {"run": str(result.run)})


@app.command()
def show(
    genotype: Annotated[
        str,
        typer.Argument(
            metavar="GENOTYPE|RUN", help=f"A run directory, a genotype file, or one of {', '.join(PUBLISHED)}."
        ),
    ],
    cells: Annotated[
        int | None, _flag(_NETWORK, "Cells of the network. Default: 20; imagenet 14; a RUN's own.")
    ] = None,
    channels: Annotated[int | None, _flag(_NETWORK, "Channels of its first cells. Default: 36; imagenet 48.")] = None,
    stem: StemFlag = None,
    classes: Annotated[int | None, _flag(_NETWORK, "Outputs. Default: 10; imagenet 1000; a RUN's own.")] = None,
    image_size: Annotated[
        int | None, _flag(_NETWORK, "Side of the image. Default: 32; imagenet 224; a RUN's own.")
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
        _print_json({"genotype": json.loads(found.to_json())} | asdict(costs))


Table = Annotated[
    Path, _flag(_DATA, "A CSV with NAS-Bench-201's accuracies; docs/guide.md says how to get one.", "--table")
]


@bench_app.command("nasbench201")
def bench_nasbench201(
    context: typer.Context,
    table: Table,
    data: Annotated[
        str, typer.Argument(metavar="[DATA]", help="The images to search on.", show_default=True)
    ] = "uoft-cs/cifar10",
    methods: Annotated[
        str, _flag(_LEARNING, "Their names: a,b,c. Those of one operation an edge. Default: entrannas,darts,random.")
    ] = "entrannas,darts,random",
    seeds: Annotated[int, _flag(_LEARNING, "Searches a method, of as many seeds. Default: 3.", min=1)] = 3,
    seed: Annotated[int, _flag(_LEARNING, "The first of them. Default: 0.", min=0)] = 0,
    budget: Annotated[
        Budget, _flag(_LEARNING, "small: minutes a search on two cores; full: the benchmark's own. Default: small.")
    ] = "small",
    subset: Subset = None,
    cells: Annotated[int | None, _flag(_NETWORK, "Cells of the super-net. Default: the budget's.")] = None,
    channels: Annotated[int | None, _flag(_NETWORK, "Channels of its first cells. Default: the budget's.")] = None,
    epochs: Annotated[int | None, _flag(_LEARNING, "Of a search. Default: the budget's.")] = None,
    batch_size: Annotated[int | None, _flag(_LEARNING, "Images of a step. Default: the budget's.")] = None,
    device: DeviceFlag = None,
    out: Annotated[Path | None, _flag(_RUN, "A new directory for all. Default: one in runs/.")] = None,
    resume: Annotated[
        bool, _flag(_RUN, "Keep the searches in --out that have ended, and go on with the others.", "--resume")
    ] = False,
    as_json: Json = False,
) -> None:
    """Search in NAS-Bench-201's space, and look up what the derived architectures reach when trained.

    The table is read only after the last search.
    """
    if resume and out is None:
        raise InputError("--resume needs --out: the directory to go on with")
    given = {name: context.params[name] for name in ("subset", "cells", "channels", "epochs", "batch_size", "device")}
    settings = {"data": data, **BUDGETS[budget], **{name: value for name, value in given.items() if value is not None}}
    out = out or Path("runs") / f"bench-nasbench201-{time.strftime('%Y%m%d-%H%M%S')}"
    result = benchmark(table, methods.split(","), range(seed, seed + seeds), settings, out, resume, reporter)
    _print_benchmark(result)
    print(f"\nplot            {out / 'bench.png'}")
    if as_json:
        _print_json(result)


@bench_app.command("rank")
def bench_rank(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="The run directory of a search in space nasbench201.")],
    table: Table,
    samples: Annotated[int, _flag(_RUN, "How many architectures. Default: 200.")] = 200,
    seed: Annotated[int, _flag(_RUN, "Of the sample. Default: 0.", min=0)] = 0,
    device: DeviceFlag = None,
    as_json: Json = False,
) -> None:
    """Compare a super-net's order of architectures, each with the super-net's weights, with the trained ones'.

    Leaves a plot and the figures in RUN.
    """
    result = run_rank(run, table, samples, seed, device or "auto")
    print(f"samples         {len(result.genotypes)}")
    print(f"Kendall tau     {result.kendall:.3f}")
    print(f"Spearman        {result.spearman:.3f}")
    print(f"plot            {result.run / 'rank.png'}")
    if as_json:
        _print_json(asdict(result) | {"run": str(result.run)})


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


def _print_benchmark(result: Mapping[str, Any]) -> None:
    """Print a row a method: mean, standard deviation and worst seed of test accuracies in percent."""
    print(f"{'':<20}" + "".join(f"{name:<24}" for name in DATASETS.values()) + f"{'seconds':>8}{'peak MB':>9}")
    print((f"{'':<20}" + f"{' mean    std  worst':<24}" * len(DATASETS)).rstrip())
    for method, row in result["methods"].items():
        accuracies = (
            f"{row[name]['mean']:5.2f}  {row[name]['std']:5.2f}  {row[name]['worst']:5.2f}" for name in DATASETS
        )
        print(
            f"{method:<20}"
            + "".join(f"{text:<24}" for text in accuracies)
            + f"{row['seconds']:>8.0f}{row['peak_memory_bytes'] / 1e6:>9.0f}"
        )
    for name, row in (("one random look", result["random_mean"]), ("best of the table", result["optimum"])):
        print((f"{name:<20}" + "".join(f"{row[data]:5.2f}{'':<19}" for data in DATASETS)).rstrip())


def _print_test(result: TrainResult, as_json: bool) -> None:
    print(f"run             {result.run}")
    print(f"test accuracy   {100 * result.test_accuracy:.2f} %")
    print(f"test loss       {result.test_loss:.4f}")
    _print_cost(result.parameters, result.multiply_adds)
    if as_json:
        _print_json(asdict(result) | {"run": str(result.run)})


def _print_json(value: Mapping[str, Any]) -> None:
    print(json.dumps(value))


_INTERRUPTED = 130  # what Typer makes of Ctrl-C


def main() -> None:
    """Run the command line; what the user can mend is one line on stderr and exit code 2."""
    try:
        code = app(standalone_mode=False) or 0
    except InputError as error:
        code = _fail(str(error))
    except Exception as error:
        if not hasattr(error, "format_message"):  # what all of Click's usage errors have, wherever Typer keeps them
            raise
        code = _fail(error.format_message())
    if code == _INTERRUPTED:
        print("entrannas: interrupted; --resume goes on after the last whole epoch", file=sys.stderr)
    sys.exit(code)


def _fail(message: str) -> int:
    print(f"entrannas: {' '.join(message.split())}", file=sys.stderr)
    return 2
