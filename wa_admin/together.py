"""Has threads share what is done as well for many at once, such as a transaction.

While one is at it, those that come meanwhile gather, and the first of them does it for all of these.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from threading import Lock
from typing import Generic, TypeVar

One = TypeVar("One")
Result = TypeVar("Result")


class Together(Generic[One, Result]):
    """`act` is given all that wait, in the order in which they came, and gives a result for each."""

    def __init__(self, act: Callable[[list[One]], list[Result]]) -> None:
        self._act = act
        self._turn = Lock()
        self._waiting: deque[tuple[One, Future[Result]]] = deque()

    def do(self, one: One) -> Result:
        """Raises what `act` raises, for all that it was given."""
        future: Future[Result] = Future()
        self._waiting.append((one, future))
        with self._turn:
            if not future.done():
                self._do_all()
        return future.result()

    def _do_all(self) -> None:
        ones, futures = zip(*(self._waiting.popleft() for _ in range(len(self._waiting))), strict=True)
        try:
            results = self._act([*ones])
        except BaseException as error:
            for future in futures:
                future.set_exception(error)
        else:
            for future, result in zip(futures, results, strict=True):
                future.set_result(result)
