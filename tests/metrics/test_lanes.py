"""Work beside other work: a lane that was left helps, and nothing is done twice or left out."""

from __future__ import annotations

import sys
from threading import Event, Thread, get_ident

import pytest

from synth_contracts.metrics.threads import Lanes, each, prompt


def in_lane(lanes: Lanes, work: object) -> Thread:
    def run() -> None:
        with lanes.lane():
            work()  # type: ignore[operator]

    thread = Thread(target=run)
    thread.start()
    return thread


def test_a_lane_that_was_left_helps_and_the_order_stays() -> None:
    lanes, met, threads, found = Lanes(), Event(), set(), []

    def piece(number: int) -> int:
        threads.add(get_ident())
        # the first piece ends when another thread has begun one
        if number == 0:
            assert met.wait(10)
        else:
            met.set()
        return number * number

    in_lane(lanes, lambda: None).join(10)
    in_lane(lanes, lambda: found.extend(each(piece, range(20)))).join(10)
    assert found == [number * number for number in range(20)]
    assert len(threads) == 2


def test_without_a_free_core_the_pieces_have_one_thread() -> None:
    closed = Lanes()
    in_lane(closed, lambda: None).join(10)
    closed.close()
    for lanes in (Lanes(), closed):
        threads: set[int] = set()
        in_lane(lanes, lambda seen=threads: each(lambda _: seen.add(get_ident()), range(20))).join(
            10
        )
        assert len(threads) == 1


def test_a_helper_gives_its_core_back_and_its_fault_is_raised() -> None:
    lanes, met, faults = Lanes(), Event(), []

    def piece(number: int) -> None:
        if number == 0:
            assert met.wait(10)
            return
        met.set()
        raise ValueError(number)

    def work() -> None:
        try:
            each(piece, range(3))
        except ValueError as error:
            faults.append(error)

    in_lane(lanes, lambda: None).join(10)
    in_lane(lanes, work).join(10)
    assert len(faults) == 1
    # both lanes were left, and the helper has ended
    assert [lanes.take() for _ in range(3)] == [True, True, False]


def test_the_interval_of_threads_is_put_back() -> None:
    before = sys.getswitchinterval()

    def fail() -> None:
        with prompt():
            assert sys.getswitchinterval() < before
            raise ValueError("on purpose")

    with pytest.raises(ValueError, match="on purpose"):
        fail()
    assert sys.getswitchinterval() == before
