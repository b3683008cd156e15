"""`entrannas show`."""

import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

from entrannas.cli.flags import Json, Settings, option, settings_of
from entrannas.cli.printing import print_cells, print_cost
from entrannas.cli.sizes import GENOTYPE, SETTINGS, Classes, sized
from entrannas.core.counting import target_cost
from entrannas.core.errors import InputError
from entrannas.core.genotype import PUBLISHED, Genotype
from entrannas.learning.records import SearchEpoch
from entrannas.learning.search_config import SearchConfig
from entrannas.learning.train_config import TrainConfig
from entrannas.report.animation import Frame, frames, save_film
from entrannas.report.drawing import save_pictures
from entrannas.runs.configuration import NETWORK, RUN
from entrannas.runs.run import Run
from entrannas.runs.written import settings_file


@settings_of(TrainConfig, SETTINGS, SETTINGS)
def show(
    settings: Settings,
    genotype: Annotated[str | None, GENOTYPE] = None,
    method: Annotated[
        str | None, option(NETWORK, "Print the settings that a search by a method has by default, as for --config.")
    ] = None,
    space: Annotated[str, option(NETWORK, "The search space of --method. Default: darts.")] = "darts",
    classes: Classes = None,
    out: Annotated[Path, option(RUN, "Where the pictures go. Default: pictures.")] = Path("pictures"),
    film: Annotated[
        Path | None, option(RUN, "Write what a search RUN derived, epoch after epoch, as a .gif, or by ffmpeg an .mp4.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Show a genotype: its cells as pictures, its connections, parameters and multiply-adds of its network.

    Or, by --method, the settings of a search.
    """
    if genotype is None:
        if method is None:
            raise InputError("give a genotype or a run, or --method for the settings of a search")
        wanted = {"data": "images", "space": space, "method": method}
        wanted |= {"stem": settings["stem"]} if "stem" in settings else {}
        print(settings_file(SearchConfig.resolve(wanted)), end="")
        return
    found, size, image = sized(genotype, settings, classes)
    costs = target_cost(found, size, image)
    print_cells(found)
    print_cost(costs.parameters, costs.multiply_adds)
    name = Path(genotype).stem if genotype in PUBLISHED or os.path.exists(genotype) else "genotype"
    for path in save_pictures(found, out, f"{name}-"):
        print(f"picture         {path}")
    if film:
        save_film(_frames(genotype), film)
        print(f"film            {film}")
    if as_json:
        print(json.dumps({"genotype": json.loads(found.to_json())} | asdict(costs)))


def _frames(path: str) -> list[Frame]:
    """Return the frames of a search's film.

    Raises:
        InputError: no search there, or no epoch of it has ended.
    """
    run = Run.open(Path(path), "search")
    lines = run.metrics(SearchEpoch)
    if not lines:
        raise InputError(f"{path} has no film: none of its epochs has ended")
    return frames([Genotype.from_text(line.genotype) for line in lines])
