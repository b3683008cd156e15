"""What changes over the epochs of a search: when alpha learns and how fast, the temperature, the thresholds' target."""

from entrannas.architecture import SearchSpace
from entrannas.runtime import cosine
from entrannas.searching.configuration import PROTOCOLS, SearchConfig, method_of

_SPARSIFIED_AFTER = 0.5  # of the epochs in which alpha learns: from there on, the target is the configured one


def alpha_epochs(config: SearchConfig) -> range:
    """Return the epochs in which alpha learns: those after the warm-up and before settling and closing."""
    return range(config.warmup_epochs, config.epochs - max(config.settling_epochs, config.closing_epochs))


def alpha_rate(config: SearchConfig, steps: int, epoch: int) -> float:
    """Return alpha's learning rate in an epoch of so many steps, by the method's schedule.

    It begins at the configured one, or at the protocol's `alpha_travel` over the number of alpha steps: a step is about
    as long as the rate, so rate times steps is how far an alpha can go. Left at the protocol's rate, a search of
    few steps would derive from weights that are nearly alike. Ours.
    """
    method = method_of(config)
    learning = alpha_epochs(config)
    travel = PROTOCOLS[config.stem].get("alpha_travel", method.alpha_travel)
    rate = config.alpha_lr or travel / max(1, len(learning) * steps)
    match method.alpha_schedule:
        case "temperature":
            return rate * temperature(config, epoch) / config.tau[0]
        case "cosine":
            return cosine(rate, 0.0, min(1.0, epoch / learning.stop))
    return rate


def target_connections(config: SearchConfig, epoch: int, space: SearchSpace) -> float:
    """Lower the target from all connections to the configured one, geometrically, in the first half after warm-up."""
    if not config.target_connections:
        return 0.0
    everything = len(space.edges) * len(space.operations) / space.nodes
    falling = max(1.0, _SPARSIFIED_AFTER * (config.epochs - config.warmup_epochs))
    done = min(1.0, max(0, epoch + 1 - config.warmup_epochs) / falling)
    left: float = (config.target_connections / everything) ** done
    return everything * left


def closing(config: SearchConfig, epoch: int) -> float:
    """Return how near the Engine-cells are to what is derived: from 0 up to 1 in the last epoch, linearly. Ours."""
    left = config.epochs - 1 - epoch
    return max(0.0, 1 - left / config.closing_epochs) if config.closing_epochs else 0.0


def temperature(config: SearchConfig, epoch: int) -> float:
    """Anneal the temperature linearly from the first epoch to the last."""
    start, end = config.tau
    return start + (end - start) * epoch / max(1, config.epochs - 1)
