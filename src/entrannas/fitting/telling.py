"""A plan in a few lines."""

from collections.abc import Iterator, Mapping

from entrannas.fitting.planning import PUBLISHED, Facts, Plan, SearchStage, TrainStage
from entrannas.fitting.times import told
from entrannas.learning.limits import LATENCY


def told_plan(seconds: float, facts: Facts, plan: Plan) -> Iterator[str]:
    """Tell a plan, in a few lines."""
    channels, height, width = facts.shape
    kind = "grey" if channels == 1 else "colour"
    yield (
        f"plan for {told(seconds)}: {facts.images:,} images of {facts.classes:,} classes, {width} x {height}, {kind}, "
        f"and {facts.test_images:,} to test on"
    )
    stage = plan.search
    if stage is None:
        yield f"no search: it would have too few steps to find what is better than {PUBLISHED}, which is trained"
    else:
        shares = f"{100 * stage.share:.3g} % of the images for the weights, as many for alpha"
        yield (
            f"search: {stage.cells} cells of {stage.channels} channels, images {_told_side(facts, stage)}; "
            f"{stage.epochs:,} epochs, batch {stage.batch_size}, {shares}; about {told(stage.seconds)}"
        )
    yield told_training(facts, plan.training)


def told_limits(limits: Mapping[str, int]) -> Iterator[str]:
    """Tell what a network may have at most, if anything."""
    if limits:
        each = (
            f"{limit / 1e6:g} ms" if name == LATENCY else f"{limit:,} {name.replace('_', '-')}"
            for name, limit in limits.items()
        )
        yield f"limits: the network has at most {' and '.join(each)}"


def told_training(facts: Facts, stage: TrainStage) -> str:
    """Tell a training that is planned."""
    images = "" if stage.share is None else f" of {100 * stage.share:.3g} % of the images, for the time's sake"
    return (
        f"training: {stage.cells} cells of {stage.channels} channels, images {_told_side(facts, stage)}; "
        f"{stage.epochs:,} epochs{images}, batch {stage.batch_size}; about {told(stage.seconds)}, and "
        f"{told(stage.ending)} for its test and the ONNX file"
    )


def _told_side(facts: Facts, stage: SearchStage | TrainStage) -> str:
    side = stage.image_size
    return "as they are" if side is None else f"of {side} x {side}"
