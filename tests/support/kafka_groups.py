"""What a consumer group has done, as Kafka itself says: committed offsets, end offsets, members."""

from __future__ import annotations

import asyncio

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from tests.support.kafka_broker import Broker
from tests.support.topic import committed


async def end_offsets(broker: Broker, topic: str, partitions: int) -> dict[int, int]:
    """Return the offset that the next record of each partition would get, transaction markers counted."""
    consumer = AIOKafkaConsumer(bootstrap_servers=broker.bootstrap_servers)
    await consumer.start()
    try:
        ends = await consumer.end_offsets([TopicPartition(topic, number) for number in range(partitions)])
    finally:
        await consumer.stop()
    return {partition.partition: offset for partition, offset in ends.items()}


async def lag(broker: Broker, topic: str, group_id: str, partitions: int) -> int:
    """Return how many offsets the group is behind, as an autoscaler counts them."""
    done = await committed(broker.bootstrap_servers, topic, group_id, partitions)
    ends = await end_offsets(broker, topic, partitions)
    return sum(end - done.get(partition, 0) for partition, end in ends.items())


async def until_no_lag(broker: Broker, topic: str, group_id: str, partitions: int, seconds: float = 60) -> None:
    async with asyncio.timeout(seconds):
        while await lag(broker, topic, group_id, partitions):
            await asyncio.sleep(0.2)


async def members(broker: Broker, group_id: str) -> int:
    """Return how many consumers the group has now."""
    admin = AIOKafkaAdminClient(bootstrap_servers=broker.bootstrap_servers)
    await admin.start()
    try:
        (answer,) = await admin.describe_consumer_groups([group_id])
    finally:
        await admin.close()
    ((_code, _group, _state, _type, _protocol, found, *_),) = answer.groups
    return len(found)
