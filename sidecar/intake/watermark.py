"""Which offset of a partition may be committed: contiguous progress over out-of-order completions."""

from __future__ import annotations

from collections import deque

METADATA_LIMIT = 3 * 1024
_VERSION = "v1:"


class Watermark:
    """Tracks one partition from its first delivered offset.

    Offsets are tracked as delivered, not by arithmetic: compaction and transaction markers leave gaps
    that no record will ever fill.
    """

    def __init__(self) -> None:
        self._delivered: deque[int] = deque()
        self._done: set[int] = set()
        self._known: set[int] = set()
        self._restored: frozenset[int] = frozenset()
        self._position: int | None = None

    def deliver(self, offset: int) -> bool:
        """Note that `offset` arrived; False when nothing is to be done for it.

        That is when it is known already (a rebalance sends records again) or was finished by a worker
        before us (`restore`).
        """
        if offset in self._known or (self._position is not None and offset < self._position):
            return False
        self._delivered.append(offset)
        self._known.add(offset)
        if offset in self._restored:
            self.finish(offset)
            return False
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

    @property
    def span(self) -> int:
        """Offsets held back behind the first unfinished one: what a crash would handle again."""
        return len(self._delivered)

    def metadata(self) -> str:
        """Return the offsets finished above the position, for the commit's metadata; empty when none or too many.

        Runs as `gap.length` in base 36 from the position on, `v1:` in front. Another reader may ignore it.
        """
        if not self._done or self._position is None:
            return ""
        runs, last = [], self._position
        for first, end in _runs(sorted(self._done)):
            runs.append(f"{_base36(first - last)}.{_base36(end - first)}")
            last = end
        text = _VERSION + ",".join(runs)
        return text if len(text) <= METADATA_LIMIT else ""

    def restore(self, position: int, metadata: str) -> None:
        """Take over what an earlier worker left in a commit; foreign or damaged metadata counts for nothing."""
        self._position = position
        self._restored = parse_metadata(position, metadata)


def parse_metadata(position: int, metadata: str) -> frozenset[int]:
    """Read the finished offsets out of a commit's metadata."""
    if not metadata.startswith(_VERSION) or len(metadata) > METADATA_LIMIT:
        return frozenset()
    offsets: set[int] = set()
    last = position
    try:
        for run in metadata.removeprefix(_VERSION).split(","):
            gap, length = (int(part, 36) for part in run.split("."))
            if gap < 0 or length <= 0 or len(offsets) + length > 1_000_000:
                return frozenset()
            offsets.update(range(last + gap, last + gap + length))
            last += gap + length
    except ValueError:
        return frozenset()
    return frozenset(offsets)


def _runs(offsets: list[int]) -> list[tuple[int, int]]:
    runs: list[tuple[int, int]] = []
    for offset in offsets:
        if runs and runs[-1][1] == offset:
            runs[-1] = (runs[-1][0], offset + 1)
        else:
            runs.append((offset, offset + 1))
    return runs


def _base36(number: int) -> str:
    digits = "0123456789abcdefghijklmnopqrstuvwxyz"
    text = ""
    while True:
        number, rest = divmod(number, 36)
        text = digits[rest] + text
        if not number:
            return text
