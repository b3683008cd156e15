"""What a run remembers of its loggers, in `loggers.json`, so that a resumed one goes on in the same logged runs."""

from entrannas.runs.records import Record
from entrannas.runs.run import Run

_FILE = "loggers.json"


class _Loggers(Record):
    """What `loggers.json` holds.

    Attributes:
        ids: by the name of the logger, that of the run that it has logged.
    """

    ids: dict[str, str]


def known(run: Run, name: str) -> str | None:
    """Return the id of the run that a logger has logged; None where it has not begun.

    Raises:
        InputError: the file is damaged.
    """
    return _ids(run).get(name)


def keep(run: Run, name: str, logged: str) -> None:
    """Keep the id of the run that a logger logs."""
    ids = _ids(run)
    if ids.get(name) != logged:
        run.write_json(_FILE, _Loggers(ids=ids | {name: logged}).model_dump(mode="json"))


def _ids(run: Run) -> dict[str, str]:
    return run.read(_FILE, _Loggers).ids if run.file(_FILE) else {}
