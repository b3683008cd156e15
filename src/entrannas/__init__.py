"""EnTranNAS: differentiable architecture search with Engine-cells and Transit-cells.

    import entrannas

    found = entrannas.search(entrannas.SearchConfig(data="my-images"))
    trained = entrannas.train(found.genotype, entrannas.TrainConfig(data="my-images", epochs=100))
    print(trained.test_accuracy)

This is the public API. The rooms below may change; of them, `runs.events` is what a listener needs.
"""

import lazy_loader

# As in the stub, which takes too long to be parsed before a command can listen to signals.
__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "analysis": ["Consistency", "Forecast", "Latency", "Pareto", "consistency", "forecast", "latency", "pareto"],
        "architecture": ["CellGenotype", "Connection", "Genotype"],
        "deploy": ["Exported", "export"],
        "errors": ["InputError"],
        "fitting": ["FitResult", "fit"],
        "loggers": ["log_to"],
        "networks": ["Cost", "LatencyTable", "Network", "build_network", "cost"],
        "runs": ["Configuration", "Listener", "load_genotype", "progress"],
        "searching": ["SearchConfig", "SearchResult", "search"],
        "training": [
            "Evaluation",
            "Features",
            "TrainConfig",
            "TrainResult",
            "TrainedNetwork",
            "evaluate",
            "load",
            "train",
        ],
    },
)
