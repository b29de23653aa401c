import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from running_gateway import wait_until

from wa_admin.together import Together


class Slow:
    """Doubles numbers, the first ones not before it is allowed to; zero cannot be doubled."""

    def __init__(self):
        self.rounds, self.may = [], threading.Event()

    def double(self, numbers):
        self.rounds.append(numbers)
        assert self.may.wait(60)
        if 0 in numbers:
            raise ZeroDivisionError
        return [2 * number for number in numbers]


@pytest.fixture
def slow():
    return Slow()


@pytest.fixture
def ask(slow):
    """What becomes of these, asked for one after another while the first is still done."""

    def ask(*numbers):
        together = Together(slow.double)
        with ThreadPoolExecutor(len(numbers)) as threads:
            asked = []
            for number in numbers:
                asked.append(threads.submit(together.do, number))
                wait_until(lambda: slow.rounds and len(asked) == 1 + len(together._waiting))
            slow.may.set()
        return asked

    return ask


def test_what_comes_meanwhile_is_done_at_once_afterwards(ask, slow):
    assert [one.result() for one in ask(1, 2, 3, 4)] == [2, 4, 6, 8]
    assert slow.rounds == [[1], [2, 3, 4]]


def test_a_failure_is_told_to_all_it_was_done_for_and_to_nobody_else(ask):
    first, *others = ask(1, 2, 0)
    assert first.result() == 2
    assert [type(one.exception()) for one in others] == [ZeroDivisionError] * 2
