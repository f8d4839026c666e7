"""Which offset of a partition may be committed: contiguous progress over out-of-order completions."""

from __future__ import annotations

from collections import deque


class Watermark:
    """Tracks one partition from its first delivered offset.

    Offsets are tracked as delivered, not by arithmetic: compaction and transaction markers leave gaps
    that no record will ever fill.
    """

    def __init__(self) -> None:
        self._delivered: deque[int] = deque()
        self._done: set[int] = set()
        self._known: set[int] = set()
        self._position: int | None = None

    def deliver(self, offset: int) -> bool:
        """Note that `offset` arrived; False when it is known already (a rebalance sends records again)."""
        if offset in self._known or (self._position is not None and offset < self._position):
            return False
        self._delivered.append(offset)
        self._known.add(offset)
        return True

    def finish(self, offset: int) -> None:
        """Note that handling of `offset` ended with an outcome, and move past all finished ones at the head."""
        if offset not in self._known:
            return
        self._done.add(offset)
        while self._delivered and self._delivered[0] in self._done:
            head = self._delivered.popleft()
            self._done.discard(head)
            self._known.discard(head)
            self._position = head + 1

    @property
    def position(self) -> int | None:
        """The offset to commit (the next one to read), None while nothing is finished."""
        return self._position

    @property
    def unfinished(self) -> int:
        return len(self._delivered) - len(self._done)
