"""What goes back and what does not, on a scripted producer; the command's tests use a broker."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from aiokafka.errors import MessageSizeTooLargeError
from hypothesis import given
from hypothesis import strategies as st

from sidecar.errors import BrokerUnavailable
from sidecar.intake.deadletter import DeadLetter, StoredLetter, dead_letter_headers, read_letter
from sidecar.intake.record import Record
from sidecar.intake.replay import REPLAYED_FROM, Fault, Publisher, Return, Selection, survey

FAILED = datetime(2026, 11, 20, tzinfo=UTC)
OURS = (REPLAYED_FROM, b"t.g.dlt:0:0")


def letter(offset: int = 0, failed: datetime = FAILED, replayed_from: str | None = None) -> StoredLetter:
    source = Record("t", 0, offset, b"k", b"{")
    headers = dead_letter_headers(DeadLetter(source, "not-json", "X", "admit", 1, failed), "g")
    earlier = [(REPLAYED_FROM, replayed_from.encode())] if replayed_from else []
    return read_letter(Record("t.g.dlt", 0, offset, b"k", b"{", (*earlier, *headers)))


class ScriptedProducer:
    def __init__(self, *answers: Exception | None) -> None:
        self.answers = list(answers)
        self.headers: list[list[tuple[str, bytes]]] = []

    async def send_and_wait(self, topic: str, *, headers: list[tuple[str, bytes]], **record: Any) -> None:
        assert (topic, record) == ("t", {"value": b"{", "key": b"k", "partition": 0})
        self.headers.append(headers)
        answer = self.answers.pop(0)
        if answer is not None:
            raise answer


def back() -> Return:
    return Return(letter(), "t", 0, b"k", b"{", [("traceparent", b"00-1"), OURS])


async def test_a_record_at_the_size_limit_goes_back_as_it_first_came() -> None:
    producer = ScriptedProducer(MessageSizeTooLargeError(), None)
    assert await Publisher(producer).publish(back()) is None
    assert producer.headers == [[("traceparent", b"00-1"), OURS], [("traceparent", b"00-1")]]


async def test_a_record_that_no_longer_fits_is_a_fault() -> None:
    producer = ScriptedProducer(MessageSizeTooLargeError(), MessageSizeTooLargeError())
    assert await Publisher(producer).publish(back()) is Fault.TOO_LARGE


async def test_a_replay_without_an_ack_is_not_done() -> None:
    with pytest.raises(BrokerUnavailable):
        await Publisher(ScriptedProducer(TimeoutError())).publish(back())


async def records(*letters: StoredLetter) -> AsyncIterator[Record]:
    for item in letters:
        yield item.record


async def test_of_a_record_that_failed_again_only_the_latest_letter_counts() -> None:
    first, other = letter(0), letter(1)
    second = letter(2, replayed_from="t.g.dlt:0:0")
    third = letter(3, replayed_from="t.g.dlt:0:2")
    before = await survey(records(first, other, second, third))
    assert [before.takes(item) for item in (first, other, second, third)] == [False, True, False, True]


async def test_letters_that_a_replay_itself_brings_about_are_not_taken() -> None:
    before = await survey(records(letter(0)))
    assert not before.takes(letter(1, replayed_from="t.g.dlt:0:0"))


@given(hours=st.integers(-5, 5), since=st.none() | st.integers(-5, 5), until=st.none() | st.integers(-5, 5))
def test_a_period_holds_its_begin_and_not_its_end(hours: int, since: int | None, until: int | None) -> None:
    def moment(value: int | None) -> datetime | None:
        return None if value is None else FAILED + timedelta(hours=value)

    wanted = (since is None or hours >= since) and (until is None or hours < until)
    chosen = Selection(since=moment(since), until=moment(until))
    assert chosen.takes(letter(failed=FAILED + timedelta(hours=hours))) is wanted


def test_a_letter_without_a_time_is_in_no_period_but_in_every_other_choice() -> None:
    undated = read_letter(Record("t.g.dlt", 0, 0, b"k", b"x"))
    assert Selection(key=b"k").takes(undated)
    assert not Selection(since=FAILED).takes(undated)
    assert not Selection(code="not-json").takes(undated)
