"""The FHIR R4 REST API of the demo EHR: parses requests, asks the store, writes answers."""

from __future__ import annotations

import asyncio
import base64
import logging
import re
from dataclasses import dataclass
from datetime import datetime
from email.utils import format_datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlencode

import orjson
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Route

from sidecar.demo.capability import capability_statement
from sidecar.demo.outcome import FhirError, Issue, operation_outcome, refuse
from sidecar.demo.search import PARAMETERS, Search, parse_search
from sidecar.demo.validate import check_resource

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.requests import Request

    from sidecar.demo.relay import Relay
    from sidecar.demo.store import Page, Store, Version

logger = logging.getLogger(__name__)

FHIR_JSON = "application/fhir+json"
_BODY_TYPES = (FHIR_JSON, "application/json")
_ETAG = re.compile(r'(?:W/)?"?(\d+)"?')
_TRACEPARENT = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}.*")


def fhir_json(body: dict[str, Any], status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(orjson.dumps(body), status, headers, f"{FHIR_JSON}; charset=utf-8")


def with_outcomes(endpoint: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
    """Turn what an endpoint raises into an OperationOutcome."""

    async def answer(request: Request) -> Response:
        try:
            return await endpoint(request)
        except FhirError as error:
            return fhir_json(operation_outcome(*error.issues), error.status)
        except Exception as error:  # noqa: BLE001 - a server answers 500; the framework would log the text (PHI)
            logger.error("request failed", extra={"error": type(error).__name__})  # noqa: TRY400 - a traceback may hold PHI
            return fhir_json(operation_outcome(Issue("exception", "the server failed"), severity="fatal"), 500)

    return answer


@dataclass(frozen=True, slots=True)
class FhirApi:
    """`base_url` is what clients use, without a slash at its end; Location and links start with it."""

    store: Store
    relay: Relay
    base_url: str
    started: str

    def routes(self) -> list[Route]:
        """Routes relative to the base URL's path."""
        return [
            self._route("/metadata", "GET", self._metadata),
            self._route("/{type}", "GET", self._search),
            self._route("/{type}", "POST", self._create),
            self._route("/{type}/{id}", "GET", self._read),
            self._route("/{type}/{id}", "PUT", self._update),
            self._route("/{type}/{id}", "DELETE", self._delete),
            self._route("/{type}/{id}/_history/{version}", "GET", self._vread),
        ]

    def _route(self, path: str, method: str, endpoint: Callable[[Request], Awaitable[Response]]) -> Route:
        return Route(path, with_outcomes(endpoint), methods=[method])

    async def _metadata(self, _request: Request) -> Response:
        return fhir_json(capability_statement(self.base_url, self.started))

    async def _read(self, request: Request) -> Response:
        version = await asyncio.to_thread(self.store.read, _type(request), request.path_params["id"])
        return self._content(request, version)

    async def _vread(self, request: Request) -> Response:
        number = request.path_params["version"]
        if not (number.isascii() and number.isdigit() and len(number) < 10):
            raise refuse(404, "not-found", "no such version")
        version = await asyncio.to_thread(
            self.store.read_version, _type(request), request.path_params["id"], int(number)
        )
        return self._content(request, version)

    async def _search(self, request: Request) -> Response:
        resource_type = _type(request)
        query = request.query_params.multi_items()
        search = parse_search(resource_type, self.base_url, query)
        page = await asyncio.to_thread(self.store.search, resource_type, search)
        return fhir_json(self._bundle(resource_type, query, page))

    async def _create(self, request: Request) -> Response:
        resource = await _resource(request)
        condition = request.headers.get("if-none-exist")
        created = await asyncio.to_thread(
            self.store.create,
            resource,
            if_none_exist=None if condition is None else self._condition(resource["resourceType"], condition),
            traceparent=_traceparent(request),
        )
        self.relay.wake()
        return self._written(request, created.version, 201 if created.new else 200)

    async def _update(self, request: Request) -> Response:
        resource = await _resource(request)
        resource_id = request.path_params["id"]
        if resource.get("id") != resource_id:
            raise refuse(400, "invalid", "the id in the body is not the one in the URL")
        version = await asyncio.to_thread(
            self.store.update, resource, resource_id, if_match=_if_match(request), traceparent=_traceparent(request)
        )
        self.relay.wake()
        return self._written(request, version, 200)

    async def _delete(self, request: Request) -> Response:
        await asyncio.to_thread(
            self.store.delete,
            _type(request),
            request.path_params["id"],
            if_match=_if_match(request),
            traceparent=_traceparent(request),
        )
        self.relay.wake()
        return Response(status_code=204)

    def _condition(self, resource_type: str, condition: str) -> Search:
        query = parse_qsl(condition.removeprefix("?"), keep_blank_values=True)
        if not query:
            raise refuse(400, "invalid", "If-None-Exist holds no search")
        return parse_search(resource_type, self.base_url, query)

    def _content(self, request: Request, version: Version) -> Response:
        if version.type == "Binary" and FHIR_JSON not in request.headers.get("accept", ""):
            return _raw(version)
        return fhir_json(version.resource, headers=_version_headers(version))

    def _written(self, request: Request, version: Version, status: int) -> Response:
        location = f"{self.base_url}/{version.reference}/_history/{version.number}"
        headers = {**_version_headers(version), "location": location}
        prefer = request.headers.get("prefer", "")
        if "return=minimal" in prefer:
            return Response(status_code=status, headers=headers)
        if "return=OperationOutcome" in prefer:
            done = Issue("informational", "stored")
            return fhir_json(operation_outcome(done, severity="information"), status, headers)
        return fhir_json(version.resource, status, headers)

    def _bundle(self, resource_type: str, query: list[tuple[str, str]], page: Page) -> dict[str, Any]:
        url = f"{self.base_url}/{resource_type}"
        links = [{"relation": "self", "url": _with_query(url, query)}]
        if page.next_after is not None:
            kept = [(name, value) for name, value in query if name != "_cursor"]
            following = [*kept, ("_cursor", str(page.next_after))]
            links.append({"relation": "next", "url": _with_query(url, following)})
        entries = [
            {"fullUrl": f"{url}/{v.id}", "resource": v.resource, "search": {"mode": "match"}} for v in page.versions
        ]
        bundle = {"resourceType": "Bundle", "type": "searchset", "total": page.total, "link": links, "entry": entries}
        return bundle if entries else {name: value for name, value in bundle.items() if name != "entry"}


async def no_such_interaction(_request: Request, error: Exception) -> Response:
    """Answer for the router: 404 for an unknown path, 405 for a method that the path does not know."""
    status = error.status_code if isinstance(error, HTTPException) else 404
    return fhir_json(operation_outcome(Issue("not-supported", "no such path or interaction")), status)


async def _resource(request: Request) -> dict[str, Any]:
    """Return the request's resource, checked; 415, 400 or 422 says what is wrong."""
    resource_type = _type(request)
    media_type = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if media_type not in _BODY_TYPES:
        raise refuse(415, "not-supported", "send application/fhir+json")
    try:
        resource = orjson.loads(await request.body())
    except orjson.JSONDecodeError:
        raise refuse(400, "structure", "the body is not JSON") from None
    if not isinstance(resource, dict) or resource.get("resourceType") != resource_type:
        raise refuse(400, "structure", "the body is not a resource of the type in the URL")
    check_resource(resource)
    return resource


def _type(request: Request) -> str:
    resource_type: str = request.path_params["type"]
    if resource_type not in PARAMETERS:
        raise refuse(404, "not-supported", "this server does not keep that resource type")
    return resource_type


def _if_match(request: Request) -> int | None:
    value = request.headers.get("if-match")
    if value is None:
        return None
    match = _ETAG.fullmatch(value.strip())
    if match is None:
        raise refuse(400, "invalid", 'If-Match is not of the form W/"1"')
    return int(match[1])


def _traceparent(request: Request) -> str | None:
    value = request.headers.get("traceparent", "")
    return value if _TRACEPARENT.fullmatch(value) else None


def _raw(version: Version) -> Response:
    content = base64.b64decode(version.resource.get("data", ""))
    # A stored HTML page must not run on this origin, where the inbox is.
    headers = {"content-security-policy": "sandbox", "x-content-type-options": "nosniff"}
    media_type = version.resource.get("contentType", "application/octet-stream")
    return Response(content, headers={**_version_headers(version), **headers, "content-type": media_type})


def _version_headers(version: Version) -> dict[str, str]:
    modified = datetime.fromisoformat(version.last_updated)
    return {"etag": f'W/"{version.number}"', "last-modified": format_datetime(modified, usegmt=True)}


def _with_query(url: str, query: list[tuple[str, str]]) -> str:
    return f"{url}?{urlencode(query)}" if query else url
