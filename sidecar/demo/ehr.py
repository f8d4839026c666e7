"""The demo EHR: FHIR API, inbox page and event publishing on one socket.

async with demo_ehr(bootstrap_servers="127.0.0.1:9092", topic="documents") as ehr:
    await ehr.load(resource)

python -m sidecar.demo.ehr --port 8080 --store ehr.db --bootstrap-servers HOST:PORT --topic NAME
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import signal
import socket
import sys
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.routing import Mount

from sidecar.demo.envelope import Envelope
from sidecar.demo.fhir import FhirApi, no_such_interaction
from sidecar.demo.inbox import inbox_routes
from sidecar.demo.relay import KafkaPublisher, NoPublisher, Publisher, Relay
from sidecar.demo.search import instant
from sidecar.demo.store import Store, Version
from sidecar.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Generator

HOST = "127.0.0.1"
CLOSE_SECONDS = 3


@dataclass(frozen=True, slots=True)
class DemoEhr:
    """A running demo EHR. `base_url` is the FHIR base, `inbox_url` the clinician's page."""

    base_url: str
    inbox_url: str
    store: Store
    relay: Relay

    async def load(self, resource: dict[str, Any]) -> Version:
        """Store a resource under its own id, unchecked, and publish it as any other write."""
        version = await asyncio.to_thread(self.store.load, resource)
        self.relay.wake()
        return version

    async def wait_published(self) -> None:
        """Wait until the broker has acknowledged the events of all writes so far."""
        await self.relay.wait_empty()


@asynccontextmanager
async def demo_ehr(
    store_path: Path | None = None,
    bootstrap_servers: str | None = None,
    topic: str = "",
    host: str = HOST,
    port: int = 0,
    *,
    envelope: Envelope = "bare",
    publisher: Publisher | None = None,
) -> AsyncIterator[DemoEhr]:
    """Serve until the block ends.

    Without `store_path` everything is kept in memory, without `bootstrap_servers` events go to
    `publisher` or nowhere; port 0 takes a free one. Raises `ConfigError` when the port is taken.
    """
    if bootstrap_servers is not None:
        publisher = KafkaPublisher(bootstrap_servers, topic)
    publisher = publisher or NoPublisher()
    with contextlib.closing(_listen(host, port)) as listener, contextlib.closing(Store(store_path)) as store:
        origin = f"http://{host}:{listener.getsockname()[1]}"
        relay = Relay(store, publisher, envelope, f"{origin}/fhir")
        async with _running(relay, publisher), _serving(_application(store, relay, origin), listener):
            yield DemoEhr(f"{origin}/fhir", f"{origin}/inbox", store, relay)


def _listen(host: str, port: int) -> socket.socket:
    try:
        return socket.create_server((host, port))
    except OSError:
        raise ConfigError(
            f"the demo EHR cannot listen on {host}:{port}: in use or not allowed; take another port"
        ) from None


def _application(store: Store, relay: Relay, origin: str) -> Starlette:
    api = FhirApi(store, relay, f"{origin}/fhir", instant(datetime.now(UTC)))
    return Starlette(
        routes=[Mount("/fhir", routes=api.routes()), *inbox_routes(store, relay)],
        exception_handlers={HTTPException: no_such_interaction},
    )


@asynccontextmanager
async def _running(relay: Relay, publisher: Publisher) -> AsyncIterator[None]:
    task = asyncio.create_task(relay.run())
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        await publisher.aclose()


class _Server(uvicorn.Server):
    """Leaves the process's signals alone: the program around it drains in its own order."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield


@asynccontextmanager
async def _serving(application: Starlette, listener: socket.socket) -> AsyncIterator[None]:
    config = uvicorn.Config(
        application,
        lifespan="off",
        ws="none",
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=CLOSE_SECONDS,
    )  # no access log: search values are in its URLs
    server = _Server(config)
    task = asyncio.create_task(server.serve(sockets=[listener]))  # the kernel queues connections until it accepts
    try:
        yield
    finally:
        server.should_exit = True
        await task


async def _serve_until_stopped(arguments: argparse.Namespace) -> None:
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    async with demo_ehr(
        arguments.store, arguments.bootstrap_servers, arguments.topic, arguments.host, arguments.port,
        envelope=arguments.envelope,
    ) as ehr:  # fmt: skip
        sys.stdout.write(f"demo EHR: {ehr.base_url} inbox: {ehr.inbox_url}\n")
        sys.stdout.flush()
        await stopped.wait()


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m sidecar.demo.ehr", description="A small FHIR server. Not for clinical use."
    )
    parser.add_argument("--host", default=HOST)
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--store", type=Path, help="SQLite file; in memory without it")
    parser.add_argument("--bootstrap-servers", help="Kafka, host:port; no events without it")
    parser.add_argument("--topic", default="ehr.documents")
    parser.add_argument("--envelope", choices=get_args(Envelope), default="bare")
    try:
        asyncio.run(_serve_until_stopped(parser.parse_args(argv)))
    except ConfigError as error:
        sys.stderr.write(f"{error}\n")
        return 3
    return 0


if __name__ == "__main__":
    sys.exit(main())
