import pytest

from entrannas.runs.events import EpochEnded, Event, Events, Message, StageBegan, StageEnded, Stepped


def test_all_who_listen_hear_each_event_before_the_next_in_their_order() -> None:
    heard: list[tuple[str, Event]] = []
    events = Events([lambda event: heard.append(("first", event)), lambda event: heard.append(("second", event))])
    said = Stepped(), EpochEnded({"epoch": 0})
    for event in said:
        events.say(event)
    events.tell("a line")
    assert heard == [(who, event) for event in (*said, Message("a line")) for who in ("first", "second")]


def test_a_stage_encloses_what_is_said_in_it() -> None:
    heard: list[Event] = []
    with Events([heard.append]).stage("search", range(2, 5), 7):
        heard.append(Stepped())
    assert heard == [StageBegan("search", range(2, 5), 7), Stepped(), StageEnded()]


@pytest.mark.parametrize("kind", [ValueError, KeyboardInterrupt])
def test_a_stage_ends_where_it_is_broken_off(kind: type[BaseException]) -> None:
    heard: list[Event] = []
    with pytest.raises(kind), Events([heard.append]).stage("search", range(3), 7):
        raise kind
    assert heard == [StageBegan("search", range(3), 7), StageEnded()]


def test_what_a_listener_raises_is_not_swallowed_and_the_stage_is_ended_none_the_less() -> None:
    heard: list[Event] = []

    def broken(event: Event) -> None:
        if isinstance(event, Stepped):
            raise RuntimeError("broken")

    events = Events([heard.append, broken])
    with pytest.raises(RuntimeError, match="broken"), events.stage("search", range(1), 1):
        events.say(Stepped())
    assert heard == [StageBegan("search", range(1), 1), Stepped(), StageEnded()]


def test_without_a_listener_nothing_happens() -> None:
    with Events().stage("search", range(1), 1):
        Events().tell("into the void")
