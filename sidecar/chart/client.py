"""FHIR over HTTP: read, search, create, update, and what each answer means.

Every write passes `ensure_draft`. Of an OperationOutcome only codes are kept: its diagnostics and
texts may hold PHI.
"""

from __future__ import annotations

import posixpath
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import unquote, urljoin, urlsplit

import orjson

from sidecar.chart.bindings import ensure_draft
from sidecar.errors import EhrNotFound, EhrRefused, EhrUnavailable, ParkEvent, VersionConflict, WriteUnknown
from sidecar.http import DEFAULT_BODY_LIMIT, BodyTooLarge, retry_after
from sidecar.outcomes import ParkReason
from sidecar.references import parse_reference

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sidecar.http import Answer, Http

FHIR_JSON = "application/fhir+json"
_JSON_TYPES = ("application/fhir+json", "application/json", "application/json+fhir")
MOST_PAGES = 100
"""Pages of one search; what lies behind is not read, so that a server's loop of links ends."""

_AGAIN_LATER = frozenset({401, 403, 408, 425, 429, 503})
"""Nothing was done, and the reason may pass: a token to renew, a permission to grant, a busy server."""

_BUSY = frozenset({425, 429, 503})
"""Of the server and not of one document: however often they come, the document is not to blame."""

_NOT_DONE = frozenset({401, 403, 425, 429})
"""After a write, only these say that nothing was done: a proxy's 408 or 503 may follow a write that landed."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """Where a resource is: reference without version, and the version that the server gave it.

    `found` says that it was there already: what it holds now may be a person's.
    """

    reference: str
    version: str | None
    found: bool = False


@dataclass(frozen=True, slots=True)
class BinaryContent:
    """A Binary as bytes or, from a server that answers with the resource, as its base64 text."""

    data: bytes | str
    media_type: str | None


class Chart(Protocol):
    """The EHR, as the pipeline sees it. All methods raise `EhrUnavailable` when it may answer later."""

    @property
    def base_url(self) -> str: ...

    async def read(self, reference: str) -> Mapping[str, Any]:
        """Raise `EhrNotFound` (404, 410) or `EhrRefused`."""
        ...

    async def read_binary(self, url: str, media_type: str | None, limit: int) -> BinaryContent:
        """Raise `ParkEvent(no-content)` for a link outside the EHR, a missing or a too large Binary."""
        ...

    async def search(self, resource_type: str, parameters: Mapping[str, str]) -> Sequence[Mapping[str, Any]]: ...

    async def create(self, resource: Mapping[str, Any], if_none_exist: str | None = None) -> Receipt:
        """Raise `WriteUnknown` when it may have been created, `VersionConflict`, `EhrRefused`."""
        ...

    async def update(self, resource: Mapping[str, Any], version: str) -> Receipt:
        """Write `resource` over `version` of the resource with its id, and over no other version.

        Raises `VersionConflict` (409, 412), `EhrNotFound`, `WriteUnknown` when it may have been written,
        `EhrRefused`.
        """
        ...


class FhirClient:
    """`Chart` over HTTP."""

    def __init__(self, http: Http, base_url: str) -> None:
        self._http = http
        self._base_url = base_url.rstrip("/")

    @property
    def base_url(self) -> str:
        return self._base_url

    async def capabilities(self) -> Mapping[str, Any]:
        return await self.read("metadata")

    async def read(self, reference: str) -> Mapping[str, Any]:
        answer = await self._get(reference)
        _raise_for(answer)
        return _resource_of(answer)

    async def read_binary(self, url: str, media_type: str | None, limit: int) -> BinaryContent:
        target = resolve_link(self._base_url, url)
        if target is None:
            raise ParkEvent(ParkReason.NO_CONTENT, "link outside the EHR")
        # The attachment's own type first: what */* means is undefined in FHIR R4.
        accept = ", ".join(filter(None, (media_type, f"{FHIR_JSON};q=0.5")))
        try:
            answer = await self._get(target, accept=accept, limit=limit * 2)
            _raise_for(answer)
        except (EhrNotFound, EhrRefused):
            raise ParkEvent(ParkReason.NO_CONTENT, "binary not readable") from None
        return _binary_of(answer)

    async def search(self, resource_type: str, parameters: Mapping[str, str]) -> Sequence[Mapping[str, Any]]:
        # Servers cache searches (HAPI: 60 s); "did my write land" must not be answered from a cache.
        headers = {"Cache-Control": "no-cache"}
        answer = await self._get(resource_type, parameters=parameters, headers=headers)
        found: list[Mapping[str, Any]] = []
        for _ in range(MOST_PAGES):
            _raise_for(answer)
            bundle = _resource_of(answer)
            found += _matches(bundle, resource_type)
            following = _next_page(bundle)
            if following is None:
                break
            answer = await self._get(following, headers=headers)
        return found

    async def create(self, resource: Mapping[str, Any], if_none_exist: str | None = None) -> Receipt:
        ensure_draft(resource)
        kind = str(resource["resourceType"])
        answer = await self._write("POST", kind, resource, {"If-None-Exist": if_none_exist} if if_none_exist else {})
        # FHIR R4 http.html#ccreate: 200 is the answer of a condition that had its match.
        return replace(_receipt_of(answer, kind), found=bool(if_none_exist) and answer.status == 200)

    async def update(self, resource: Mapping[str, Any], version: str) -> Receipt:
        ensure_draft(resource)
        reference = f"{resource['resourceType']}/{resource['id']}"
        answer = await self._write("PUT", reference, resource, {"If-Match": f'W/"{version}"'})
        return Receipt(reference, _version_of(answer, str(resource["resourceType"])))

    async def _write(self, method: str, url: str, resource: Mapping[str, Any], headers: Mapping[str, str]) -> Answer:
        headers = {"Content-Type": FHIR_JSON, "Accept": FHIR_JSON, "Prefer": "return=minimal", **headers}
        answer = await self._http.request(method, url, headers=headers, content=orjson.dumps(resource))
        if answer.status >= 500 or (answer.status in _AGAIN_LATER and answer.status not in _NOT_DONE):
            raise WriteUnknown(f"HTTP {answer.status}")
        _raise_for(answer)
        return answer

    async def _get(
        self,
        url: str,
        *,
        accept: str = FHIR_JSON,
        parameters: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        limit: int = DEFAULT_BODY_LIMIT,
    ) -> Answer:
        target = resolve_link(self._base_url, url)
        if target is None:
            raise EhrRefused(400, ("outside-base-url",))  # the token goes nowhere else
        try:
            return await self._http.request(
                "GET", target, headers={"Accept": accept, **(headers or {})}, params=parameters, limit=limit
            )
        except BodyTooLarge as error:
            raise ParkEvent(ParkReason.NO_CONTENT, str(error)) from None
        except WriteUnknown:
            raise EhrUnavailable("answer lost", suspect=True) from None  # a read can simply be asked again


def _matches(bundle: Mapping[str, Any], resource_type: str) -> list[Mapping[str, Any]]:
    entries = bundle.get("entry") or []
    found = (entry.get("resource") for entry in entries if isinstance(entry, dict))
    return [item for item in found if isinstance(item, dict) and item.get("resourceType") == resource_type]


def _next_page(bundle: Mapping[str, Any]) -> str | None:
    links = bundle.get("link") or []
    urls = (link.get("url") for link in links if isinstance(link, dict) and link.get("relation") == "next")
    return next((url for url in urls if isinstance(url, str)), None)


def resolve_link(base_url: str, url: str) -> str | None:
    """Return the absolute address of an attachment link, or None when it leaves the EHR's base URL."""
    try:
        base, target = urlsplit(base_url + "/"), urlsplit(urljoin(base_url + "/", url))
        same_host = (base.scheme, base.hostname, base.port) == (target.scheme, target.hostname, target.port)
    except ValueError:
        return None
    if not same_host or target.username is not None or target.fragment:
        return None
    path = posixpath.normpath(unquote(target.path))
    return target.geturl() if path.startswith(base.path) else None


def _raise_for(answer: Answer) -> None:
    """Turn a status into the exception that says what to do."""
    status = answer.status
    if 200 <= status < 300:
        return
    if status in _AGAIN_LATER or status >= 500 or 300 <= status < 400:  # 3xx: a balancer's or login's page
        suspect = status not in _BUSY
        raise EhrUnavailable(f"HTTP {status}", retry_after=retry_after(answer.headers), suspect=suspect)
    if status in (404, 410):
        raise EhrNotFound(f"HTTP {status}", gone=status == 410)
    if status in (409, 412):
        raise VersionConflict(f"HTTP {status}")
    raise EhrRefused(status, issue_codes(answer))


def issue_codes(answer: Answer) -> tuple[str, ...]:
    """Return the codes of an OperationOutcome's issues, at most five; nothing when it is none."""
    try:
        issues = orjson.loads(answer.body).get("issue", [])
        codes = [issue.get("code") for issue in issues][:5]
    except (ValueError, AttributeError, TypeError):
        return ()  # an HTML error page of a proxy
    return tuple(code for code in codes if isinstance(code, str) and code.isascii() and len(code) <= 40)


def _resource_of(answer: Answer) -> Mapping[str, Any]:
    try:
        resource = orjson.loads(answer.body)
    except orjson.JSONDecodeError:
        raise EhrUnavailable("answer is not JSON", suspect=True) from None  # a proxy's page, with status 200
    if not isinstance(resource, dict) or not isinstance(resource.get("resourceType"), str):
        raise EhrUnavailable("answer is not FHIR", suspect=True)
    return resource


def _binary_of(answer: Answer) -> BinaryContent:
    """Read by the response's own Content-Type: servers answer with either form."""
    media_type = answer.headers.get("content-type", "").strip() or None
    essence = (media_type or "").split(";")[0].strip().lower()
    if essence not in _JSON_TYPES:
        return BinaryContent(answer.body, media_type)
    resource = _resource_of(answer)
    data, inner = resource.get("data"), resource.get("contentType")
    if resource["resourceType"] != "Binary" or not isinstance(data, str):
        raise ParkEvent(ParkReason.NO_CONTENT, "no binary data")
    return BinaryContent(data, inner if isinstance(inner, str) else None)


def _etag(answer: Answer) -> str | None:
    return answer.headers.get("etag", "").removeprefix("W/").strip('"') or None


def _version_of(answer: Answer, kind: str) -> str | None:
    """Read the version that an update made; None when the answer, though a clear yes, does not say it."""
    try:
        return _etag(answer) or _receipt_of(answer, kind).version
    except WriteUnknown:
        return None


def _receipt_of(answer: Answer, kind: str) -> Receipt:
    """Read id and version from Location, ETag or the body: bodies may be empty, Locations relative."""
    etag = _etag(answer)
    location = parse_reference(answer.headers.get("location", answer.headers.get("content-location", "")))
    if location is not None:
        return Receipt(f"{location[0]}/{location[1]}", etag or location[2])
    try:
        resource = _resource_of(answer)
    except EhrUnavailable:
        raise WriteUnknown("no location") from None
    if resource["resourceType"] != kind or not isinstance(resource.get("id"), str):
        raise WriteUnknown("no location")  # an OperationOutcome, say
    version = (resource.get("meta") or {}).get("versionId")
    return Receipt(f"{kind}/{resource['id']}", etag or version)
