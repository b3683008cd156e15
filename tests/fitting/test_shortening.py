from pathlib import Path

import pytest
import torch

from entrannas.data.settings import DataSettings
from entrannas.data.training_data import TrainingData, load_training_data
from entrannas.fitting.shortening import Shorter, ways_to_shorten
from entrannas.learning.search_config import SearchConfig
from entrannas.learning.train_config import TrainConfig
from entrannas.runs.genotypes import load_genotype

from ..pictures import class_folders

CELLS = load_genotype("darts-v2")


def _data(source: str) -> TrainingData:
    return load_training_data(DataSettings(source), torch.device("cpu"))


def _told(config: SearchConfig | TrainConfig, source: str, seconds: float = 3600, trials: float = 0) -> list[Shorter]:
    return list(ways_to_shorten(config, _data(source), CELLS, seconds, seconds - trials - 60, trials))


def test_a_run_below_a_minute_need_not_be_shorter() -> None:
    assert _told(SearchConfig(), "digits", 59) == []


def test_only_what_applies_is_told_and_what_saves_most_comes_first() -> None:
    told = _told(TrainConfig(), "digits")
    assert [way.flags for way in told] == ["--epochs 15", "--channels 8"], "few and small images, narrow cells"
    assert told[0].factor == pytest.approx(1 - 0.5 * 3540 / 3600)
    assert _told(TrainConfig(epochs=10, channels=8), "digits") == []


def test_images_are_made_smaller_or_get_the_stem_that_is_meant_for_them(tmp_path: Path) -> None:
    for side in (40, 100):
        class_folders(tmp_path / str(side), {"cat": 8, "dog": 8}, size=(side, side))
    first, *others = _told(SearchConfig(data="photos"), str(tmp_path / "40"))
    assert first.flags == "--image-size 20" and first.factor == pytest.approx(0.25, abs=0.02)
    assert [way.flags for way in others] == ["--epochs 25", "--channels 8"]
    first, *_ = _told(SearchConfig(data="photos"), str(tmp_path / "100"))
    assert first.flags == "--stem imagenet" and first.factor < 0.1
    assert _told(SearchConfig(stem="imagenet"), str(tmp_path / "100"))[0].flags == "--image-size 50"


def test_trials_that_take_most_may_be_left_out_and_gpus_be_used(monkeypatch: pytest.MonkeyPatch) -> None:
    config = SearchConfig(space="nasbench201")
    first, *_ = _told(config, "digits", 3600, 2400)
    assert first == Shorter("--trials 0", pytest.approx(1 / 3), "no trials")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    assert _told(config, "digits")[0].flags == "--devices 4"
    assert "--devices 4" not in [way.flags for way in _told(SearchConfig(device="cpu"), "digits")]
