"""What a search keeps of its epochs and trials, as it is read again."""

from entrannas.runs.records import Epoch, Record


class SearchEpoch(Epoch):
    """A line of a search's `metrics.jsonl`, of which these fields are read.

    Attributes:
        weights_accuracy: that of the super-net on the weights half.
        alpha_accuracy: that on the alpha half; None where alpha did not learn.
        changes: how many steps changed the derived genotype.
        genotype: the one derived at the end of the epoch, as text.
        seconds: how long it took.
    """

    weights_accuracy: float
    alpha_accuracy: float | None
    changes: int
    genotype: str
    seconds: float


class HeldTrial(Record):
    """A trial that has ended.

    Attributes:
        genotype: the architecture, as text.
        steps: how many it was trained for.
        accuracy: what it reached, from 0 to 1.
        seconds: how long it took.
    """

    genotype: str
    steps: int
    accuracy: float
    seconds: float


class HeldTrials(Record):
    """What `trials.json` holds."""

    trials: tuple[HeldTrial, ...]
