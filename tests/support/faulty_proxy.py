"""A server that stands before another one and, on demand, behaves as hospital servers do on a bad day."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from enum import StrEnum

HOST = "127.0.0.1"
HEADER_END = b"\r\n\r\n"


class Fault(StrEnum):
    BUSY = "busy"  # 429 to everything
    DOWN = "down"  # 503 to everything, as a balancer with nothing behind it
    HANG = "hang"  # takes the request and never answers; nothing is done
    LOSE = "lose"  # does what is asked and hangs up without an answer to a write
    REFUSE = "refuse"  # takes no connection, and breaks those that there are


_STATUS = {Fault.BUSY: b"429 Too Many Requests", Fault.DOWN: b"503 Service Unavailable"}


@dataclass(frozen=True, slots=True)
class _Request:
    head: bytes
    body: bytes

    @property
    def writes(self) -> bool:
        return not self.head.startswith((b"GET ", b"HEAD "))


@dataclass(slots=True)
class FaultyProxy:
    """One request a connection, so that nothing of HTTP but a request's length need be understood."""

    upstream_port: int
    port: int
    fault: Fault | None = None
    refused: int = 0
    """Requests that a fault kept from their answer."""
    _server: asyncio.Server | None = None
    _connections: set[asyncio.Task[None]] = field(default_factory=set)

    async def switch(self, fault: Fault | None) -> None:
        """Behave so from now on; requests that hang already are broken off."""
        self.fault = fault
        if fault is Fault.REFUSE:
            await self.close()
            return
        await self._break_connections()
        await self.listen()

    async def listen(self) -> None:
        if self._server is None:
            self._server = await asyncio.start_server(self._serve, HOST, self.port)

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        await self._break_connections()

    async def _break_connections(self) -> None:
        for connection in self._connections:
            connection.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(self._answer(reader, writer))
        self._connections.add(task)
        try:
            await asyncio.wait([task])
            with suppress(asyncio.CancelledError, OSError, asyncio.IncompleteReadError):
                task.result()
        finally:
            self._connections.discard(task)
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await _read_request(reader)
        fault = self.fault
        if fault is None or (fault is Fault.LOSE and not request.writes):
            writer.write(await self._forward(request))
            await writer.drain()
            return
        self.refused += 1
        if fault is Fault.HANG:
            await asyncio.Event().wait()
        elif fault is Fault.LOSE:
            await self._forward(request)
        else:
            writer.write(b"HTTP/1.1 %b\r\nRetry-After: 1\r\nContent-Length: 0\r\n" % _STATUS[fault])
            writer.write(b"Connection: close\r\n\r\n")
            await writer.drain()

    async def _forward(self, request: _Request) -> bytes:
        reader, writer = await asyncio.open_connection(HOST, self.upstream_port)
        try:
            writer.write(request.head + request.body)
            await writer.drain()
            return await reader.read(-1)
        finally:
            writer.close()


async def _read_request(reader: asyncio.StreamReader) -> _Request:
    head = await reader.readuntil(HEADER_END)
    lines = head.removesuffix(HEADER_END).split(b"\r\n")
    fields = dict(line.split(b": ", 1) for line in lines[1:])
    length = int({name.lower(): value for name, value in fields.items()}.get(b"content-length", b"0"))
    kept = [line for line in lines if not line.lower().startswith(b"connection:")]
    return _Request(b"\r\n".join([*kept, b"Connection: close"]) + HEADER_END, await reader.readexactly(length))


@asynccontextmanager
async def faulty_proxy(upstream_port: int, port: int) -> AsyncIterator[FaultyProxy]:
    """Serve on `port`, which no client's own connection may be given: take one below the ephemeral range."""
    proxy = FaultyProxy(upstream_port, port)
    await proxy.listen()
    try:
        yield proxy
    finally:
        await proxy.close()
