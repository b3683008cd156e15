"""What holds of every command, whatever it is given."""

from tests.forks import LIMIT, Outcome

_LONGEST = 2000  # characters of a line that complains, beside those that were given
_THEIR_WORDS = ("Traceback", "Input should be", "validation error", "errors.pydantic.dev", "Value error", "Warning")


def complaint(outcome: Outcome) -> str | None:
    """Say in a line what is wrong with how a command ended, whatever it was given; None if nothing is."""
    last = (outcome.err.splitlines() or [""])[-1]
    if outcome.code is None:
        return f"it took over {LIMIT:.0f} seconds: {last[:200]}"
    if outcome.code not in (0, 2):
        return f"exit code {outcome.code}: {last[:300]}"
    if "out of memory" in last:
        return f"more memory than any of this needs: {last[:300]}"
    for words in _THEIR_WORDS:
        for line in (outcome.out + outcome.err).splitlines():
            if words in line:
                return f"{words!r} in: {line[:300]}"
    told = [line for line in outcome.err.splitlines() if line.startswith("entrannas: ")]
    if outcome.code == 2 and told != [last]:
        return f"no one line of its own at the end: {outcome.err[-300:]!r}"
    if outcome.code == 0 and told:
        return f"a complaint, but exit code 0: {told[0][:300]}"
    if len(last) > _LONGEST + sum(map(len, outcome.arguments)):
        return f"a line of {len(last)} characters: {last[:200]}"
    return None
