"""What metrics share is computed once, also where two of them ask at the same time."""

from __future__ import annotations

from threading import Event, Thread
from time import sleep

from synth_contracts.metrics.once import once


class Slow:
    def __init__(self) -> None:
        self.computed = 0
        self.begun, self.asked = Event(), Event()

    @once
    def value(self) -> list[int]:
        """Something dear."""
        self.computed += 1
        self.begun.set()
        # until the second thread asks, and a little longer, for it to begin the same if it may
        assert self.asked.wait(10)
        sleep(0.05)
        return [self.computed]


def test_a_second_thread_waits_and_gets_the_same_object() -> None:
    slow, found = Slow(), []
    first = Thread(target=lambda: found.append(slow.value))
    first.start()
    assert slow.begun.wait(10)
    second = Thread(target=lambda: (slow.asked.set(), found.append(slow.value)))
    second.start()
    for thread in (first, second):
        thread.join(10)
    assert slow.computed == 1
    assert found == [[1], [1]]
    assert found[0] is found[1] is slow.value


def test_objects_do_not_wait_for_each_other() -> None:
    one, other = Slow(), Slow()
    holding = Thread(target=lambda: one.value)
    holding.start()
    assert one.begun.wait(10)
    other.asked.set()
    asking = Thread(target=lambda: other.value)
    asking.start()
    asking.join(10)
    assert other.computed == 1
    assert not asking.is_alive()
    one.asked.set()
    holding.join(10)


def test_the_name_and_the_words_stay() -> None:
    assert Slow.value.__doc__ == "Something dear."
