"""The pace of a training: whether its epochs will end in time, and how many others would."""

import time
from dataclasses import replace

from entrannas.fitting.diary import Diary
from entrannas.fitting.planning import BETWEEN, RESERVE, TRAINED_LONG, Facts, TrainStage, epochs_within, longest
from entrannas.runs.events import EpochEnded, Event, RunBegan, Stepped

_WATCHED = 0.03  # of the time, for which the pace of a training is watched before anything is judged by it
_LATE, _EARLY = 0.01, 0.04  # of the time, by which it would end too late, or too early, before its epochs are changed
_LONGER = 0.6  # of its epochs, from which on they are never more: its rate would rise again
_AGAIN = 2.0  # seconds to take a training up again, beside those of reading its images


class Otherwise(Exception):
    """Ends a training that is to go on with other epochs."""

    def __init__(self, stage: TrainStage, revision: int) -> None:
        self.stage, self.revision = stage, revision


class Pace:
    """Looks at the clock at each epoch of a training, and ends it where it is to go on with other epochs.

    Where the first epoch is long, its first steps are looked at, once: a plan of few epochs leaves little to correct.

    They are written into the plan, and into the run's `changes`, before they come into force. The learning rate of an
    epoch hangs on their number, so that it leaps a little there; at the first look it has hardly begun to fall.
    """

    def __init__(self, diary: Diary, facts: Facts, stage: TrainStage) -> None:
        self.diary, self.facts, self.stage = diary, facts, stage
        self.ended: list[float] = []
        self.stepped: list[float] = []
        self.otherwise: Otherwise | None = None

    def __call__(self, event: Event) -> None:
        """Note the end of each epoch; what is decided there is done at the next step, when the epoch is saved."""
        match event:
            case RunBegan(first_epoch=first):
                self.done = first
            case EpochEnded():
                self.done += 1
                self.ended.append(time.monotonic())
                self.otherwise = self._decided()
            case Stepped():
                if self.done == 0 and self.diary.kept.revision <= 1:
                    self.otherwise = self._foreseen()
                if self.otherwise is not None:
                    raise self.otherwise

    def _foreseen(self) -> Otherwise | None:
        """Return the epochs that there is time for by the pace of the first steps, when these have been watched."""
        now, watched = time.monotonic(), _WATCHED * self.diary.kept.seconds
        if self.stepped and self.stepped[-1] - self.stepped[0] >= watched:  # that was once
            return None
        self.stepped.append(now)
        if now - self.stepped[0] < watched:
            return None
        images = int((self.stage.share or 1) * self.facts.images)
        each = (now - self.stepped[0]) / (len(self.stepped) - 1) * max(1, images // self.stage.batch_size)
        return self._others(each + BETWEEN, now - self.stepped[0])

    def _decided(self) -> Otherwise | None:
        """Return the epochs that there is time for by the pace of the last ones."""
        within = self.diary.kept.seconds
        if len(self.ended) < 2 or self.ended[-1] - self.ended[0] < _WATCHED * within:
            return None
        late = self.ended[(len(self.ended) - 1) // 2 :]  # the machine may be another one than it was at first
        return self._others((late[-1] - late[0]) / (len(late) - 1))

    def _others(self, each: float, begun: float = 0.0) -> Otherwise | None:
        """Return the epochs that there is time for where each takes so long, if those that are planned end elsewhere.

        Other ones have images to read again, and lose what was `begun` of an epoch.
        """
        stage, within = self.stage, self.diary.kept.seconds
        over = self.diary.left - stage.ending - (stage.epochs - self.done) * each + begun
        steps = max(1, int((stage.share or 1) * self.facts.images) // stage.batch_size)
        left = self.diary.left - RESERVE / 2 * within - stage.ending - self.facts.read_seconds - _AGAIN
        epochs = max(1, epochs_within(left, each, self.done, longest(TRAINED_LONG, steps)))
        fewer = epochs < stage.epochs and over < -_LATE * within
        more = epochs > stage.epochs and over > _EARLY * within and self.done < _LONGER * stage.epochs
        if fewer or more:
            return Otherwise(replace(stage, epochs=epochs, seconds=epochs * each), max(1, self.diary.kept.revision) + 1)
        return None
