"""The one exception that a user meets, and how a failed check becomes one line of it."""

from pydantic import ValidationError


class InputError(ValueError):
    """Something the user gave cannot be used.

    The message is one line that says what is wrong and what to do. The command line prints it and exits
    with code 2.
    """


def explain(error: ValidationError) -> str:
    """The first complaint of a failed validation, as `where: what`."""
    first = error.errors(include_url=False)[0]
    where = ".".join(str(part) for part in first["loc"])
    what = first["msg"].removeprefix("Value error, ")
    return f"{where}: {what}" if where else what
