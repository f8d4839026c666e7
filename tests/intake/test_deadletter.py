"""Dead letters on the embedded broker: kept whole, without PHI in what we add, whatever their size."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any, Literal

import pytest
from aiokafka.errors import KafkaConnectionError, MessageSizeTooLargeError, RecordListTooLargeError

from sidecar.demo.broker import EmbeddedBroker
from sidecar.errors import BrokerUnavailable
from sidecar.intake import deadletter
from sidecar.intake.deadletter import DeadLetter, KafkaDeadLetters, StoredLetter, dead_letter_topic, read_letter
from sidecar.intake.record import Record
from sidecar.intake.scan import open_reader

FAILED = datetime(2026, 11, 20, 8, 0, tzinfo=UTC)


def letter(topic: str, value: bytes | None = b"\xff not json", **changes: Any) -> DeadLetter:
    fields = {"key": b"Patient/1", "headers": (("traceparent", b"00-1"),), "timestamp": 1_700_000_000_000, **changes}
    return DeadLetter(Record(topic, 2, 7, value=value, **fields), "not-json", "DeadLetterEvent", "admit", 1, FAILED)


@asynccontextmanager
async def sender(broker: EmbeddedBroker, payload: Literal["keep", "omit"]) -> AsyncIterator[KafkaDeadLetters]:
    letters = KafkaDeadLetters({"bootstrap_servers": broker.bootstrap_servers}, "g", payload)
    await letters.start()
    try:
        yield letters
    finally:
        await letters.stop()


async def stored(broker: EmbeddedBroker, topic: str) -> list[StoredLetter]:
    async with open_reader({"bootstrap_servers": broker.bootstrap_servers}) as reader:
        partitions = await reader.partitions([dead_letter_topic(topic, "g")])
        return [read_letter(record) async for record in reader.read_to_end(partitions)]


async def test_a_letter_is_kept_whole_and_read_back(broker: EmbeddedBroker, topic: str) -> None:
    async with sender(broker, "keep") as letters:
        await letters.send(letter(topic))
    (found,) = await stored(broker, topic)
    assert (found.record.key, found.record.value) == (b"Patient/1", b"\xff not json")
    assert found.record.header("traceparent") == "00-1"
    assert found.source_coordinates == f"{topic}:2:7"
    assert (found.code, found.stage, found.first_failed_at) == ("not-json", "admit", FAILED)
    assert (found.timestamp, found.omitted) == (1_700_000_000_000, False)


async def test_an_omitted_value_is_told_from_a_record_that_had_none(broker: EmbeddedBroker, topic: str) -> None:
    async with sender(broker, "omit") as letters:
        await letters.send(letter(topic))
    async with sender(broker, "keep") as letters:
        await letters.send(letter(topic, value=None))
    by_omission = {item.omitted: item for item in await stored(broker, topic)}
    assert by_omission[True].record.value is None
    assert by_omission[False].record.value is None
    assert by_omission[True].record.key == b"Patient/1"


async def test_a_value_that_the_topic_does_not_take_is_left_out(
    broker: EmbeddedBroker, topic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deadletter, "MAX_REQUEST_BYTES", 100_000)
    async with sender(broker, "keep") as letters:
        await letters.send(letter(topic, value=b"x" * 99_900))
    (found,) = await stored(broker, topic)
    assert (found.omitted, found.record.value, found.record.key) == (True, None, b"Patient/1")
    assert (found.code, found.record.header("traceparent")) == ("not-json", "00-1")


async def test_headers_that_alone_are_too_large_are_left_out_too(
    broker: EmbeddedBroker, topic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deadletter, "MAX_REQUEST_BYTES", 100_000)
    async with sender(broker, "keep") as letters:
        await letters.send(letter(topic, headers=(("huge", b"x" * 99_900),)))
    (found,) = await stored(broker, topic)
    assert (found.omitted, found.record.header("huge"), found.source_coordinates) == (True, None, f"{topic}:2:7")


async def test_headers_of_ours_that_somebody_else_sent_are_not_believed(broker: EmbeddedBroker, topic: str) -> None:
    forged = (("x-ehr-error-topic", b"other"), ("X-EHR-Error-payload", b"omitted"), ("x-ehr-error-payload", b"omitted"))
    async with sender(broker, "keep") as letters:
        await letters.send(letter(topic, headers=forged))
    (found,) = await stored(broker, topic)
    assert (found.source_coordinates, found.omitted) == (f"{topic}:2:7", False)
    assert found.record.header("x-ehr-error-payload") is None


async def test_many_letters_at_once_all_arrive(broker: EmbeddedBroker, topic: str) -> None:
    values = {b"%d" % number * 2000 for number in range(40)}
    async with sender(broker, "keep") as letters:
        await asyncio.gather(*(letters.send(letter(topic, value=value)) for value in values))
    assert {item.record.value for item in await stored(broker, topic)} == values


class ScriptedProducer:
    """Answers each send with the next of `answers`."""

    def __init__(self, *answers: Exception | None) -> None:
        self.answers = list(answers)
        self.sent: list[dict[str, Any]] = []

    async def send_and_wait(self, topic: str, **record: Any) -> None:
        self.sent.append({"topic": topic, **record})
        answer = self.answers.pop(0)
        if answer is not None:
            raise answer


def scripted(*answers: Exception | None) -> tuple[KafkaDeadLetters, ScriptedProducer]:
    letters, producer = KafkaDeadLetters.__new__(KafkaDeadLetters), ScriptedProducer(*answers)
    letters._producer, letters._group_id, letters._payload = producer, "g", "keep"
    return letters, producer


@pytest.mark.parametrize("refusal", [MessageSizeTooLargeError(), RecordListTooLargeError()])
async def test_the_brokers_own_size_limit_leaves_the_value_out(refusal: Exception) -> None:
    letters, producer = scripted(refusal, None)
    await letters.send(letter("t"))
    assert [record["value"] for record in producer.sent] == [b"\xff not json", None]
    assert ("x-ehr-error-payload", b"omitted") in producer.sent[1]["headers"]
    assert {record["topic"] for record in producer.sent} == {"t.g.dlt"}


@pytest.mark.parametrize("answers", [[KafkaConnectionError("Patient/1")], [MessageSizeTooLargeError()] * 3])
async def test_a_letter_without_an_ack_is_not_sent(answers: list[Exception]) -> None:
    letters, _ = scripted(*answers)
    with pytest.raises(BrokerUnavailable) as caught:
        await letters.send(letter("t"))
    assert "Patient" not in str(caught.value)


@pytest.mark.parametrize(
    "headers",
    [
        (),
        (("x-ehr-error-topic", b"t"), ("x-ehr-error-partition", b"-1"), ("x-ehr-error-offset", b"1")),
        (("x-ehr-error-topic", b"t"), ("x-ehr-error-partition", b"\xff"), ("x-ehr-error-offset", b"1")),
        (("x-ehr-error-topic", b"t"), ("x-ehr-error-partition", "\u0661".encode()), ("x-ehr-error-offset", b"1")),
    ],
)
def test_what_others_wrote_to_the_topic_names_no_source(headers: tuple[tuple[str, bytes], ...]) -> None:
    found = read_letter(Record("t.g.dlt", 0, 0, None, b"x", (*headers, ("x-ehr-error-first-failed-at", b"soon"))))
    assert (found.source, found.source_coordinates, found.first_failed_at) == (None, None, None)
