"""The partitions that are ours, and how far each has come, through eager rebalances.

aiokafka revokes everything at every rebalance and then assigns anew. Nothing is forgotten at the
revocation: what stays ours keeps its watermark and its running work, what went is given up.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from aiokafka.structs import OffsetAndMetadata, TopicPartition

from sidecar.intake.watermark import Watermark

if TYPE_CHECKING:
    from collections.abc import Iterable


class Assignment:
    """`stable` is set while the group has told us what is ours."""

    def __init__(self) -> None:
        self.stable = asyncio.Event()
        self._watermarks: dict[TopicPartition, Watermark] = {}
        self._committed: dict[TopicPartition, tuple[int, str]] = {}

    def begin_rebalance(self) -> None:
        self.stable.clear()

    def end_rebalance(self) -> None:
        self.stable.set()

    def settle(self, assigned: Iterable[TopicPartition]) -> tuple[set[TopicPartition], set[TopicPartition]]:
        """Take the new assignment over; return what was lost and what was gained."""
        now = set(assigned)
        lost, gained = self._watermarks.keys() - now, now - self._watermarks.keys()
        for partition in lost:
            del self._watermarks[partition]
        # What the group has committed for a partition that was away is no longer known.
        self._committed = {tp: value for tp, value in self._committed.items() if tp in now - gained}
        self._watermarks |= {partition: Watermark() for partition in gained}
        return lost, gained

    def watermark(self, partition: TopicPartition) -> Watermark | None:
        return self._watermarks.get(partition)

    def stuck(self, most: int) -> set[TopicPartition]:
        """Return partitions that hold back more than `most` offsets behind an unfinished one."""
        return {partition for partition, watermark in self._watermarks.items() if watermark.span > most}

    def due(self, ours: Iterable[TopicPartition], *, with_map: bool) -> dict[TopicPartition, OffsetAndMetadata]:
        """Return what a commit now would tell, for the partitions among `ours` that moved since the last."""
        offsets = {}
        for partition in set(ours) & self._watermarks.keys():
            watermark = self._watermarks[partition]
            if watermark.position is None:
                continue
            metadata = watermark.metadata() if with_map else ""
            if (watermark.position, metadata) != self._committed.get(partition):
                offsets[partition] = OffsetAndMetadata(watermark.position, metadata)
        return offsets

    def confirm(self, offsets: dict[TopicPartition, OffsetAndMetadata]) -> None:
        """Note a commit that the group took."""
        for partition, value in offsets.items():
            if partition in self._watermarks:
                self._committed[partition] = (value.offset, value.metadata)
