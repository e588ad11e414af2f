"""Exponential backoff with full jitter: https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator

TRIES = 6


class Backoff:
    """Tries with waits between them; tests replace the sleep and the chance."""

    def __init__(
        self, *, sleep: Callable[[float], None] = time.sleep, chance: Callable[[], float] = random.random
    ) -> None:
        self._sleep = sleep
        self._chance = chance

    def tries(self, longest: float) -> Iterator[int]:
        """Yield 0 to ``TRIES`` - 1; wait up to ``longest`` seconds before 1, up to twice that before 2, and so on."""
        for attempt in range(TRIES):
            if attempt:
                self._sleep(self._chance() * longest * 2 ** (attempt - 1))
            yield attempt


BACKOFF = Backoff()
