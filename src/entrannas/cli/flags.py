"""Flags made from the fields of a configuration, each described once, there; and those that several commands have.

A flag that is left out is None: what it stands for then is the configuration's affair, which has files, runs and
presets to ask before its protocol. Typer makes its flags from a function's signature, so the signature is made here.
"""

import functools
import inspect
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar, Union, get_args, get_origin

import typer
from pydantic import TypeAdapter, ValidationError
from pydantic.fields import FieldInfo
from typer.models import ArgumentInfo

from entrannas.core.errors import InputError
from entrannas.files.validation import explain
from entrannas.runs.bounds import Between, Count
from entrannas.runs.configuration import GROUPS, MAIN, RUN, Configuration
from entrannas.runs.run import Run

if TYPE_CHECKING:
    from entrannas.learning.search_config import SearchConfig
    from entrannas.learning.train_config import TrainConfig

Settings = dict[str, Any]
"""The settings that were given on the command line; those left out are not in it."""

Data = Annotated[
    str | None,
    typer.Argument(metavar="[DATA]", help=Configuration.model_fields["data"].description, show_default=False),
]


_METAVARS = {int: "INTEGER", float: "NUMBER"}


def option(group: str, text: str, *names: str, **options: Any) -> Any:
    """Make a flag that is no setting; its default is told in the text."""
    return typer.Option(*names, help=text, rich_help_panel=group, show_default=False, **options)


def whole(group: str, text: str, low: int, high: int) -> Any:
    """Make a flag that is no setting, of a whole number from `low` to `high`."""
    return option(group, text, metavar=_METAVARS[int], parser=_parser(Annotated[int, Between(low, high)]))


def many(group: str, text: str) -> Any:
    """Make a flag that is no setting, of a number such as 600M."""
    return option(group, text, metavar="COUNT", parser=_parser(Count))


def milliseconds(group: str, text: str) -> Any:
    """Make a flag that is no setting, of a time."""
    return option(group, text, metavar="MS", parser=_parser(Annotated[float, Between(0.001, 1e6)]))


def _parser(kind: Any) -> Callable[[Any], Any]:
    """Make the parser of a flag, which tells of a failure in plain words."""
    checked: TypeAdapter[Any] = TypeAdapter(kind)

    def parse(value: Any) -> Any:
        try:
            return checked.validate_python(value)
        except ValidationError as error:
            raise typer.BadParameter(explain(error)) from None

    return parse


Out = Annotated[Path | None, option(MAIN, "The run directory. Default: a new one in runs/.")]
Resume = Annotated[bool, option(MAIN, "Go on with the run in --out after its last whole epoch.", "--resume")]
ConfigFile = Annotated[Path | None, option(RUN, "Settings from a YAML file; flags win over it.", "--config")]
Log = Annotated[
    str | None,
    option(
        RUN, "Log to these as well, parted by commas: tensorboard, wandb, mlflow, trackio.", "--log", metavar="NAME,..."
    ),
]
DryRun = Annotated[
    bool,
    option(
        MAIN,
        "Begin nothing: print the settings, as a file for --config, and in its comments what the run will be and cost.",
        "--dry-run",
    ),
]
Devices = Annotated[
    int | None,
    whole(RUN, "So many processes on this machine: one a GPU, or one a share of the cores. Default: 1.", 1, 1024),
]
Json = Annotated[bool, option(RUN, "End stdout with one JSON object.", "--json")]

OF_A_TEST = "data", "test_split", "label_column", "skip_damaged", "device"
"""The settings that a test has."""

Command = TypeVar("Command", bound=Callable[..., None])


def settings_of(
    model: type[Configuration], names: Iterable[str] | None = None, told: Mapping[str, str] | None = None
) -> Callable[[Command], Command]:
    """Give a command the fields of a configuration as flags; it takes what was given as `settings`.

    Args:
        model: the configuration.
        names: the fields; all of them by default. `data` is an argument.
        told: other words for the defaults of some.
    """
    fields = {name: model.model_fields[name] for name in (model.model_fields if names is None else names)}

    def decorate(command: Command) -> Command:
        @functools.wraps(command)
        def run(**arguments: Any) -> None:
            given = {name: arguments.pop(name) for name in fields}
            command({name: value for name, value in given.items() if value is not None}, **arguments)

        _, *own = inspect.signature(command, eval_str=True).parameters.values()
        flags = [_flag(name, field, (told or {}).get(name)) for name, field in fields.items()]
        parameters = sorted([*own, *flags], key=_group)
        parameters = [one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in parameters]
        run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        run.__annotations__ = {one.name: one.annotation for one in parameters}
        return run  # type: ignore[return-value]

    return decorate


def _flag(name: str, field: FieldInfo, told: str | None) -> inspect.Parameter:
    """Make the flag of a field, or the argument DATA."""
    about = field.json_schema_extra
    assert isinstance(about, dict) and field.description is not None
    if name == "data":
        annotation: Any = Data
    else:
        kind = _type(field.annotation)
        told = told or about["told"]  # type: ignore[assignment]
        text = " ".join(field.description.split())
        text = f"{text.rstrip('.')}: {about['choices']}." if about["choices"] else text
        text += f" Default: {told}." if told else ""
        names = [str(about["flag"] or f"--{name.replace('_', '-')}")]
        if kind is bool:
            names = [f"{names[0]}/--no-{names[0][2:]}"]
        metavar = about["metavar"] or _METAVARS.get(kind)
        parser = _parser(Annotated[field.annotation, *field.metadata, name]) if kind in _METAVARS else None
        group = str(about["group"])
        annotation = Annotated[_text(kind) | None, option(group, text, *names, metavar=metavar, parser=parser)]
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation)


def _group(parameter: inspect.Parameter) -> int:
    """Tell where a flag stands, so that the groups come in their order."""
    about = parameter.annotation.__metadata__[0]
    return -1 if isinstance(about, ArgumentInfo) else GROUPS.index(about.rich_help_panel)


def _type(annotation: Any) -> Any:
    """Reduce the type of a field to one that a flag can have: a number with a fraction, if it may be one."""
    origin, inner = get_origin(annotation), [one for one in get_args(annotation) if one is not NoneType]
    if origin is Annotated:
        return _type(inner[0])
    if origin in (Union, UnionType):
        kinds = [_type(one) for one in inner]
        return float if float in kinds else kinds[0]
    if origin is tuple:
        return str if Ellipsis in inner else tuple[tuple(map(_type, inner))]  # type: ignore[misc]
    assert origin in (None, Literal), annotation
    return annotation


def _text(kind: Any) -> Any:
    """Take several numbers as text, which is the configuration's to read, as it is from a file."""
    return tuple[(str,) * len(get_args(kind))] if get_origin(kind) is tuple else kind  # type: ignore[misc]


def with_file(settings: Settings, file: Path | None, model: type[Configuration]) -> tuple[Settings, dict[str, str]]:
    """Return the settings of a YAML file with those of the command line over them, and where the file has which.

    Raises:
        InputError: the file cannot be read, or has a name that is none of the configuration's.
    """
    if file is None:
        return settings, {}
    from entrannas.cli.settings_file import read_settings  # what most commands do without is imported here
    from entrannas.learning.search_config import SearchConfig
    from entrannas.learning.train_config import TrainConfig

    written, places = read_settings(file)
    model.check_names(written, places, (SearchConfig, TrainConfig))
    from_file = {name: value for name, value in written.items() if value is not None}
    return from_file | settings, {name: place for name, place in places.items() if name not in settings}


def resumed(out: Path | None, command: str, model: type[Configuration]) -> Settings:
    """Return the settings of the run of a command to go on with.

    Raises:
        InputError: there is none, or its settings are damaged.
    """
    if out is None:
        raise InputError("--resume needs --out: the run directory to go on with")
    return Run.open(out, command, resume=True).config(model).model_dump()


def settings_in(run: Run) -> "SearchConfig | TrainConfig":
    """Return the settings of a run of either command.

    Raises:
        InputError: they are damaged.
    """
    if run.command == "train":
        from entrannas.learning.train_config import TrainConfig

        return run.config(TrainConfig)
    from entrannas.learning.search_config import SearchConfig

    return run.config(SearchConfig)
