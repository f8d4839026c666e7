"""The clinician's inbox: one page, its assets, and the JSON that it shows.

The page's script puts every text into the document as text, and the Content-Security-Policy lets
no other script run.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import orjson
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from sidecar.demo.fhir import with_outcomes
from sidecar.demo.outcome import refuse
from sidecar.demo.worklist import Worklist

if TYPE_CHECKING:
    from starlette.requests import Request

    from sidecar.demo.relay import Relay
    from sidecar.demo.store import Store

_MEDIA_TYPES = {"inbox.css": "text/css", "inbox.js": "text/javascript"}
_HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
}


def inbox_routes(store: Store, relay: Relay) -> list[Route]:
    """Routes relative to the origin."""
    inbox = _Inbox(Worklist(store), relay)
    return [
        Route("/", _to_inbox),
        Route("/inbox", _page),
        Route("/inbox/assets/{name}", with_outcomes(_asset)),
        Route("/inbox/drafts", with_outcomes(inbox.drafts)),
        Route("/inbox/drafts/{id}", with_outcomes(inbox.view)),
        Route("/inbox/drafts/{id}/{action}", with_outcomes(inbox.act), methods=["POST"]),
    ]


@dataclass(frozen=True, slots=True)
class _Inbox:
    worklist: Worklist
    relay: Relay

    async def drafts(self, _request: Request) -> Response:
        return _json({"drafts": await asyncio.to_thread(self.worklist.drafts)})

    async def view(self, request: Request) -> Response:
        return _json(await asyncio.to_thread(self.worklist.view, request.path_params["id"]))

    async def act(self, request: Request) -> Response:
        decision = await _decision(request)
        draft_id = request.path_params["id"]
        await asyncio.to_thread(
            self.worklist.decide, draft_id, request.path_params["action"], decision.version, decision.text
        )
        self.relay.wake()
        return _json(await asyncio.to_thread(self.worklist.view, draft_id))


@dataclass(frozen=True, slots=True)
class _Decision:
    version: int
    text: str


async def _decision(request: Request) -> _Decision:
    # A page of another origin cannot send this type without asking first, so it cannot sign.
    if request.headers.get("content-type") != "application/json":
        raise refuse(415, "not-supported", "send application/json")
    try:
        body = orjson.loads(await request.body())
    except orjson.JSONDecodeError:
        raise refuse(400, "structure", "the body is not JSON") from None
    version, text = (body.get("version"), body.get("text", "")) if isinstance(body, dict) else (None, "")
    if not isinstance(version, int) or not isinstance(text, str):
        raise refuse(400, "structure", "send version and, to edit, text")
    return _Decision(version, text)


async def _to_inbox(_request: Request) -> Response:
    return RedirectResponse("/inbox")


async def _page(_request: Request) -> Response:
    return Response(_read_asset("inbox.html"), headers=_HEADERS, media_type="text/html")


async def _asset(request: Request) -> Response:
    name = request.path_params["name"]
    if name not in _MEDIA_TYPES:
        raise refuse(404, "not-found", "no such file")
    return Response(_read_asset(name), headers=_HEADERS, media_type=_MEDIA_TYPES[name])


def _read_asset(name: str) -> bytes:
    return files("sidecar.demo").joinpath("page", name).read_bytes()


def _json(body: dict[str, Any]) -> Response:
    return Response(orjson.dumps(body), headers=_HEADERS, media_type="application/json")
