"""Opens the engine that the settings name; each engine's libraries are imported in its own module only."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from sidecar.drafting.engine import Engine
    from sidecar.mappings import Mappings
    from sidecar.settings import EngineSettings


@asynccontextmanager
async def open_engine(settings: EngineSettings, mappings: Mappings) -> AsyncIterator[Engine]:
    """Open the engine and close it at the end. Raises `ConfigError`."""
    del settings  # one kind so far
    from sidecar.drafting.extractive import open_extractive  # noqa: PLC0415 - see above

    engine = open_extractive(mappings)
    try:
        yield engine
    finally:
        await engine.aclose()
