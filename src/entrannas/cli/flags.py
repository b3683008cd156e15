"""Flags made from the fields of a configuration, each described once, there; and those that several commands have.

A flag that is left out is None: what it stands for then is the configuration's affair, which has files, runs and
presets to ask before its protocol. Typer makes its flags from a function's signature, so the signature is made here.
"""

import functools
import inspect
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin

import typer
import yaml
from pydantic.fields import FieldInfo

from entrannas.errors import InputError
from entrannas.runs import GROUPS, RUN, Configuration, Run

Settings = dict[str, Any]
"""The settings that were given on the command line; those left out are not in it."""

Data = Annotated[
    str | None,
    typer.Argument(metavar="[DATA]", help=Configuration.model_fields["data"].description, show_default=False),
]


def option(group: str, text: str, *names: str, **options: Any) -> Any:
    """Make a flag that is no setting; its default is told in the text."""
    return typer.Option(*names, help=text, rich_help_panel=group, show_default=False, **options)


Out = Annotated[Path | None, option(RUN, "The run directory. Default: a new one in runs/.")]
Resume = Annotated[bool, option(RUN, "Go on with the run in --out after its last whole epoch.", "--resume")]
ConfigFile = Annotated[Path | None, option(RUN, "Settings from a YAML file; flags win over it.", "--config")]
Json = Annotated[bool, option(RUN, "End stdout with one JSON object.", "--json")]

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
        positional = [parameter for parameter in own if parameter.default is inspect.Parameter.empty]
        flags = [_flag(name, field, (told or {}).get(name)) for name, field in fields.items()]
        parameters = [*positional, *sorted(flags, key=_group), *(one for one in own if one not in positional)]
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
        names = [f"--{name.replace('_', '-')}"]
        if kind is bool:
            names = [f"{names[0]}/--no-{names[0][2:]}"]
        annotation = Annotated[kind | None, option(str(about["group"]), text, *names, metavar=about["metavar"])]
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation)


def _group(parameter: inspect.Parameter) -> int:
    """Tell where a flag stands, so that the groups come in their order."""
    if parameter.annotation is Data:
        return -1
    return GROUPS.index(parameter.annotation.__metadata__[0].rich_help_panel)


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


def with_file(settings: Settings, file: Path | None) -> Settings:
    """Return the settings of a YAML file with those of the command line over them.

    Raises:
        InputError: the file cannot be read.
    """
    if file is None:
        return settings
    try:
        from_file = yaml.safe_load(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"cannot read the configuration {file}: {error.strerror}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"{file} is no YAML: {error}") from None
    if not isinstance(from_file, dict):
        raise InputError(f"{file} is no configuration: expected lines of the form name: value")
    return from_file | settings


def resumed(out: Path | None, command: str) -> dict[str, Any]:
    """Return the settings of the run of a command to go on with.

    Raises:
        InputError: there is none.
    """
    if out is None:
        raise InputError("--resume needs --out: the run directory to go on with")
    return Run.open(out, command).read_json("config.json")
