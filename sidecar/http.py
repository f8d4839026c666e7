"""HTTP clients: the one module that imports httpx, so that a successor is one import away.

Redirects are off (a token must never follow one), the environment's proxies and netrc are ignored
(the only hosts spoken to are the configured ones), and every body is read under a byte limit.
"""

from __future__ import annotations

import ssl
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

import httpx

from sidecar.errors import ConfigError, EhrUnavailable, WriteUnknown

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping
    from pathlib import Path

DEFAULT_BODY_LIMIT = 32 * 1024 * 1024  # a 10 MiB attachment in base64 inside JSON, with room


@dataclass(frozen=True, slots=True)
class Tls:
    """Files in PEM. `ca` replaces the public CAs: a hospital's EHR is signed by its own."""

    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None

    def context(self) -> ssl.SSLContext:
        try:
            context = ssl.create_default_context(cafile=self.ca)
            if self.certificate is not None:
                context.load_cert_chain(self.certificate, self.key)
        except (OSError, ssl.SSLError) as error:
            msg = f"TLS files cannot be used ({type(error).__name__}): check ca_file, client_cert_file, client_key_file"
            raise ConfigError(msg) from None
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        return context


@dataclass(frozen=True, slots=True)
class Answer:
    """One response, body read. Header names are lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class BodyTooLarge(Exception):
    """The body passed the limit and was not read to its end; `limit` is in bytes."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"limit={limit}")
        self.limit = limit


@dataclass(slots=True)
class Http:
    """Requests against one base URL, with failures named by what they mean for a write.

    `request` raises `EhrUnavailable` when the request surely never reached the server, and
    `WriteUnknown` when it may have: the caller of a read treats both alike, the caller of a create
    must not.
    """

    client: httpx.AsyncClient
    authorize: Callable[[], Mapping[str, str]] = dict
    """Gives the headers of authorization, asked for every request: tokens in files rotate."""

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        params: Mapping[str, str] | None = None,
        content: bytes | None = None,
        limit: int = DEFAULT_BODY_LIMIT,
    ) -> Answer:
        try:
            authorization = self.authorize()
        except ConfigError:
            # A token file that is being replaced; at start the settings are checked for good.
            raise EhrUnavailable("no authorization") from None
        request = self.client.build_request(
            method, url, headers={**authorization, **(headers or {})}, params=params, content=content
        )
        try:
            response = await self.client.send(request, stream=True)
            try:
                body = await _read_limited(response, limit)
            finally:
                await response.aclose()
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout):
            raise EhrUnavailable("not sent") from None
        except httpx.HTTPError:
            raise WriteUnknown("answer lost") from None
        return Answer(response.status_code, {k.lower(): v for k, v in response.headers.items()}, body)


async def _read_limited(response: httpx.Response, limit: int) -> bytes:
    body = bytearray()
    async for chunk in response.aiter_bytes():
        body += chunk
        if len(body) > limit:
            raise BodyTooLarge(limit)
    return bytes(body)


def open_client(
    base_url: str,
    *,
    tls: Tls | None = None,
    timeout: float = 30.0,
    transport: httpx.AsyncBaseTransport | None = None,
) -> httpx.AsyncClient:
    """Return a client for `base_url`; `timeout` in seconds bounds each read, connecting gets five.

    `transport` is the seam for tests.
    """
    return httpx.AsyncClient(
        base_url=base_url.rstrip("/") + "/",
        verify=(tls or Tls()).context() if base_url.startswith("https") else True,
        timeout=httpx.Timeout(timeout, connect=5.0, pool=timeout),
        limits=httpx.Limits(max_connections=32, max_keepalive_connections=16),
        follow_redirects=False,
        trust_env=False,
        transport=transport,
    )


@asynccontextmanager
async def open_http(
    base_url: str,
    *,
    authorize: Callable[[], Mapping[str, str]] = dict,
    tls: Tls | None = None,
    timeout: float = 30.0,  # noqa: ASYNC109 - a setting of the client, not of this coroutine
    transport: httpx.AsyncBaseTransport | None = None,
) -> AsyncIterator[Http]:
    """Open an `Http` on `base_url` and close its connections at the end."""
    async with open_client(base_url, tls=tls, timeout=timeout, transport=transport) as client:
        yield Http(client, authorize)


def retry_after(headers: Mapping[str, str], *, now: datetime | None = None) -> float | None:
    """Return the seconds that the server asks to wait: `Retry-After` as seconds or date, or Azure's milliseconds."""
    milliseconds = headers.get("x-ms-retry-after-ms", "")
    if milliseconds.isascii() and milliseconds.isdigit():
        return int(milliseconds) / 1000
    value = headers.get("retry-after", "").strip()
    if value.isascii() and value.isdigit():
        return float(value)
    try:
        moment = parsedate_to_datetime(value)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, (moment - (now or datetime.now(UTC))).total_seconds())
