"""What a topic and a consumer group really hold, read with a client of the test's own."""

from __future__ import annotations

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord, TopicPartition


async def read_topic(bootstrap_servers: str, topic: str, partitions: int) -> list[ConsumerRecord[bytes, bytes]]:
    """Read every record of the topic.

    By reading and not by asking for end offsets: the embedded broker counts batches there, not records.
    """
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap_servers, enable_auto_commit=False)
    await consumer.start()
    try:
        consumer.assign([TopicPartition(topic, number) for number in range(partitions)])
        await consumer.seek_to_beginning()
        records = []
        while batches := await consumer.getmany(timeout_ms=1500):
            records += [record for batch in batches.values() for record in batch]
        return records
    finally:
        await consumer.stop()


async def publish_again(bootstrap_servers: str, records: list[ConsumerRecord[bytes, bytes]]) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap_servers, acks="all")
    await producer.start()
    try:
        for record in records:
            await producer.send(record.topic, record.value, record.key, record.partition, headers=list(record.headers))
        await producer.flush()
    finally:
        await producer.stop()


async def committed(bootstrap_servers: str, topic: str, group_id: str, partitions: int) -> dict[int, int]:
    """Return the committed offset of each partition that is past its start."""
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap_servers, group_id=group_id, enable_auto_commit=False)
    await consumer.start()
    try:
        offsets = {number: await consumer.committed(TopicPartition(topic, number)) for number in range(partitions)}
        return {number: offset for number, offset in offsets.items() if offset}
    finally:
        await consumer.stop()


def next_offsets(records: list[ConsumerRecord[bytes, bytes]]) -> dict[int, int]:
    offsets: dict[int, int] = {}
    for record in records:
        offsets[record.partition] = max(offsets.get(record.partition, 0), record.offset + 1)
    return offsets
