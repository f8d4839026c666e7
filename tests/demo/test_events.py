from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Any

import httpx
import orjson
import pytest

from sidecar.demo.ehr import demo_ehr
from sidecar.demo.envelope import Envelope
from sidecar.demo.relay import RECORD_LIMIT
from sidecar.errors import BrokerUnavailable

from .conftest import FHIR_JSON, RecordingPublisher, client_of, note, read_topic

if TYPE_CHECKING:
    from asyncio.subprocess import Process
    from collections.abc import Sequence
    from pathlib import Path

    from sidecar.demo.broker import EmbeddedBroker
    from sidecar.demo.ehr import DemoEhr
    from sidecar.demo.relay import Record

TRACEPARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


class FailingPublisher(RecordingPublisher):
    """Refuses the first `failures` batches."""

    def __init__(self, failures: int) -> None:
        super().__init__()
        self.failures = failures

    async def publish(self, records: Sequence[Record]) -> None:
        if self.failures:
            self.failures -= 1
            raise BrokerUnavailable("KafkaConnectionError")
        await super().publish(records)


async def test_every_write_of_a_document_is_published_in_order(
    ehr: DemoEhr, fhir: httpx.AsyncClient, publisher: RecordingPublisher
) -> None:
    created = (await fhir.post("DocumentReference", json=note())).json()
    url = f"DocumentReference/{created['id']}"
    updated = (await fhir.put(url, json={**created, "docStatus": "amended"})).json()
    await fhir.delete(url)
    await ehr.wait_published()
    first, second, deletion = publisher.values
    assert (first, second) == (created, updated)
    assert deletion["entry"][1] == {
        "fullUrl": f"{ehr.base_url}/{url}",
        "request": {"method": "DELETE", "url": url},
        "response": {"status": "204", "lastModified": deletion["timestamp"]},
    }
    assert {record.key for record in publisher.records} == {b"Patient/p1"}


async def test_other_resources_and_writes_that_wrote_nothing_are_not_published(
    ehr: DemoEhr, fhir: httpx.AsyncClient, publisher: RecordingPublisher
) -> None:
    await fhir.post("Patient", json={"resourceType": "Patient"})
    await fhir.post("DocumentReference", json=note(status="wrong"))
    body = note(identifier=[{"system": "urn:test", "value": "1"}])
    for _ in range(2):
        await fhir.post("DocumentReference", json=body, headers={"if-none-exist": "identifier=urn:test|1"})
    document = (
        publisher.values[0]
        if publisher.records
        else (await fhir.get("DocumentReference")).json()["entry"][0]["resource"]
    )
    url = f"DocumentReference/{document['id']}"
    await fhir.put(url, json=document, headers={"if-match": 'W/"9"'})
    await fhir.delete(url)
    await fhir.delete(url)
    await ehr.wait_published()
    assert [value["resourceType"] for value in publisher.values] == ["DocumentReference", "Bundle"]


@pytest.mark.parametrize(("envelope", "full"), [("notification-full", True), ("notification-id-only", False)])
async def test_a_notification_is_a_backport_bundle(
    publisher: RecordingPublisher, envelope: Envelope, full: bool
) -> None:
    async with demo_ehr(publisher=publisher, envelope=envelope) as ehr:
        await ehr.load(note(id="a"))
        await ehr.load(note(id="a"))
        await ehr.wait_published()
    bundle = publisher.values[1]
    assert (bundle["resourceType"], bundle["type"]) == ("Bundle", "history")
    status, focus = bundle["entry"]
    parameters = {parameter["name"]: parameter for parameter in status["resource"]["parameter"]}
    assert status["resource"]["resourceType"] == "Parameters"
    assert parameters["type"]["valueCode"] == "event-notification"
    parts = {part["name"]: part for part in parameters["notification-event"]["part"]}
    assert parts["event-number"]["valueString"] == "2"
    assert parts["focus"]["valueReference"]["reference"] == f"{ehr.base_url}/DocumentReference/a"
    assert focus["request"] == {"method": "PUT", "url": "DocumentReference/a"}
    assert ("resource" in focus) == full
    if full:
        assert focus["resource"]["meta"]["versionId"] == "2"


async def test_a_document_too_large_for_a_record_is_announced_by_its_id(publisher: RecordingPublisher) -> None:
    async with demo_ehr(publisher=publisher) as ehr:
        await ehr.load(note(id="large", content=[{"attachment": {"data": "A" * RECORD_LIMIT}}]))
        await ehr.wait_published()
    (bundle,) = publisher.values
    assert bundle["entry"][1]["fullUrl"].endswith("DocumentReference/large")
    assert "resource" not in bundle["entry"][1]


async def test_a_document_without_a_subject_is_keyed_by_itself(ehr: DemoEhr, publisher: RecordingPublisher) -> None:
    await ehr.load(note(id="a", subject=None))
    await ehr.wait_published()
    assert publisher.records[0].key == b"DocumentReference/a"


@pytest.mark.parametrize(
    ("sent", "headers"), [(TRACEPARENT, (("traceparent", TRACEPARENT.encode()),)), ("garbage", ())]
)
async def test_the_trace_of_the_request_goes_on_in_the_record(
    ehr: DemoEhr, fhir: httpx.AsyncClient, publisher: RecordingPublisher, sent: str, headers: tuple[Any, ...]
) -> None:
    await fhir.post("DocumentReference", json=note(), headers={"traceparent": sent})
    await ehr.wait_published()
    assert publisher.records[0].headers == headers


async def test_events_wait_while_the_broker_is_away() -> None:
    publisher = FailingPublisher(failures=2)
    async with demo_ehr(publisher=publisher) as ehr:
        for number in range(3):
            await ehr.load(note(id=str(number)))
        await ehr.wait_published()
        assert ehr.store.pending_events(10) == []
    assert [value["id"] for value in publisher.values] == ["0", "1", "2"]


async def test_parallel_writes_are_all_published_once_each_in_version_order(broker: EmbeddedBroker) -> None:
    await broker.create_topic("parallel", 4)
    async with demo_ehr(bootstrap_servers=broker.bootstrap_servers, topic="parallel") as ehr, client_of(ehr) as fhir:

        async def write(patient: int) -> None:
            subject = {"reference": f"Patient/p{patient}"}
            document = (await fhir.post("DocumentReference", json=note(subject=subject))).json()
            for _ in range(3):
                document = (await fhir.put(f"DocumentReference/{document['id']}", json=document)).json()

        await asyncio.gather(*(write(patient) for patient in range(10)))
        await ehr.wait_published()
    records = await read_topic(broker.bootstrap_servers, "parallel", 40)
    versions: dict[str, list[str]] = {}
    for record in records:
        document = orjson.loads(record.value)
        assert record.key.decode() == document["subject"]["reference"]
        versions.setdefault(document["id"], []).append(document["meta"]["versionId"])
    assert len(versions) == 10
    assert all(numbers == ["1", "2", "3", "4"] for numbers in versions.values())
    assert len({(record.partition, record.key) for record in records}) == 10


async def start_ehr(store: Path, bootstrap_servers: str, topic: str) -> tuple[Process, str]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "sidecar.demo.ehr", "--store", str(store)),
        *("--bootstrap-servers", bootstrap_servers, "--topic", topic),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    assert process.stdout is not None
    line = (await process.stdout.readline()).decode().split()
    return process, line[line.index("EHR:") + 1]


async def test_a_killed_ehr_publishes_what_it_had_committed_when_it_comes_back(
    broker: EmbeddedBroker, tmp_path: Path
) -> None:
    await broker.create_topic("after-kill", 1)
    process, base_url = await start_ehr(tmp_path / "ehr.db", "127.0.0.1:1", "after-kill")  # no broker there
    async with httpx.AsyncClient(trust_env=False, headers=FHIR_JSON) as client:
        created = (await client.post(f"{base_url}/DocumentReference", json=note())).json()
    process.kill()
    await process.wait()
    process, base_url = await start_ehr(tmp_path / "ehr.db", broker.bootstrap_servers, "after-kill")
    (record,) = await read_topic(broker.bootstrap_servers, "after-kill", 1)
    assert orjson.loads(record.value) == created
    async with httpx.AsyncClient(trust_env=False) as client:
        assert (await client.get(f"{base_url}/DocumentReference/{created['id']}")).json() == created
    process.terminate()
    assert await process.wait() == 0


async def test_the_process_names_a_port_that_is_taken(ehr: DemoEhr) -> None:
    port = ehr.base_url.split(":")[2].split("/")[0]
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "sidecar.demo.ehr", "--port", port, stderr=asyncio.subprocess.PIPE
    )
    _, errors = await process.communicate()
    assert process.returncode == 3
    assert port in errors.decode()
    assert "Traceback" not in errors.decode()
