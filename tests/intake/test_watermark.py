from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sidecar.intake.watermark import Watermark, parse_metadata


def test_nothing_finished_means_nothing_to_commit() -> None:
    watermark = Watermark()
    watermark.deliver(5)
    assert watermark.position is None


def test_a_gap_left_by_compaction_is_passed() -> None:
    watermark = Watermark()
    for offset in (5, 9, 12):
        watermark.deliver(offset)
    watermark.finish(9)
    assert watermark.position is None
    watermark.finish(5)
    assert watermark.position == 10


def test_records_sent_again_after_a_rebalance_are_known() -> None:
    watermark = Watermark()
    assert watermark.deliver(1)
    assert not watermark.deliver(1)
    watermark.finish(1)
    assert not watermark.deliver(1)
    assert not watermark.deliver(0)


@st.composite
def histories(draw: st.DrawFn) -> tuple[list[int], list[int]]:
    offsets = sorted(draw(st.sets(st.integers(0, 200), min_size=1, max_size=40)))
    finished = draw(st.permutations(offsets))
    return offsets, finished[: draw(st.integers(0, len(finished)))]


@given(histories())
def test_the_committed_offset_never_passes_an_unfinished_event(history: tuple[list[int], list[int]]) -> None:
    offsets, finished = history
    watermark, done = Watermark(), set()
    for offset in offsets:
        watermark.deliver(offset)
    for offset in finished:
        watermark.finish(offset)
        done.add(offset)
        unfinished = [item for item in offsets if item not in done]
        position = watermark.position
        assert position is None or all(item >= position for item in unfinished)
        if not unfinished:
            assert position == offsets[-1] + 1
        assert watermark.unfinished == len(unfinished)


@given(histories())
def test_the_map_in_the_commit_brings_finished_offsets_back(history: tuple[list[int], list[int]]) -> None:
    offsets, finished = history
    before = Watermark()
    for offset in offsets:
        before.deliver(offset)
    for offset in finished:
        before.finish(offset)
    if before.position is None:
        assert before.metadata() == ""
        return
    after = Watermark()
    after.restore(before.position, before.metadata())
    again = [offset for offset in offsets if offset >= before.position and after.deliver(offset)]
    assert again == [offset for offset in offsets if offset not in finished]


@given(st.text(max_size=60) | st.text("v1:0123456789abcxyz.,-", max_size=60).map(lambda text: "v1:" + text))
def test_foreign_or_damaged_metadata_counts_for_nothing_but_never_fails(metadata: str) -> None:
    for offset in parse_metadata(10, metadata):
        assert offset >= 10


def test_a_map_that_does_not_fit_is_left_out() -> None:
    watermark = Watermark()
    for offset in range(20_000):
        watermark.deliver(offset)
    watermark.finish(0)
    for offset in range(3, 20_000, 2):
        watermark.finish(offset)
    assert watermark.position == 1
    assert watermark.metadata() == ""


def test_a_huge_run_in_foreign_metadata_is_refused() -> None:
    assert parse_metadata(0, "v1:0.zzzzzzz") == frozenset()
