"""EnTranNAS: differentiable architecture search with Engine-cells and Transit-cells.

    import entrannas

    found = entrannas.search(entrannas.SearchConfig(data="my-images"))
    trained = entrannas.train(found.genotype, entrannas.TrainConfig(data="my-images", epochs=100))
    print(trained.test_accuracy)

This is the public API. The packages below may change: `core` is the method, `runs.events` what a listener needs.
"""

import sys
from typing import Any

import lazy_loader

# As in the stub, which takes too long to be parsed before a command can listen to signals.
__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "bench.consistency": ["Consistency", "consistency"],
        "fitting.forecasting": ["Forecast", "forecast"],
        "fitting.pareto": ["Pareto", "pareto"],
        "core.costs": ["cost"],
        "core.counting": ["Cost"],
        "core.errors": ["InputError"],
        "core.genotype": ["CellGenotype", "Connection", "Genotype"],
        "core.network": ["Network", "build_network"],
        "deploy.exporting": ["Exported", "export"],
        "fitting.fitting": ["FitResult", "fit"],
        "latencies.measurement": ["Latency", "latency"],
        "latencies.table": ["LatencyTable"],
        "report.loggers.listening": ["log_to"],
        "runs.configuration": ["Configuration"],
        "runs.display": ["progress"],
        "runs.events": ["Listener"],
        "runs.genotypes": ["load_genotype"],
        "learning.search_config": ["SearchConfig"],
        "learning.search_loop": ["SearchResult", "search"],
        "learning.train_config": ["TrainConfig"],
        "learning.evaluation": ["Evaluation", "evaluate"],
        "learning.train_loop": ["train"],
        "learning.testing": ["TrainResult"],
        "learning.trained": ["Features", "TrainedNetwork", "load"],
    },
)


def _show_genotypes(ipython: Any) -> None:
    """Let a notebook show genotypes as pictures of their cells."""

    def picture(genotype: Any) -> str:
        from entrannas.report.drawing import render_genotype

        return render_genotype(genotype)

    if shell := ipython.get_ipython():
        formatter = shell.display_formatter.formatters["image/svg+xml"]
        formatter.for_type_by_name("entrannas.core.genotype", "Genotype", picture)


if "IPython" in sys.modules:
    _show_genotypes(sys.modules["IPython"])
