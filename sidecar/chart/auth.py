"""Static authorization of EHR requests: bearer token or basic, from files that may rotate."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

from sidecar.errors import ConfigError
from sidecar.settings import read_secret

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sidecar.settings import EhrSettings


def authorization(settings: EhrSettings) -> Callable[[], Mapping[str, str]]:
    """Return what gives the Authorization header. Raises `ConfigError` when a needed setting is missing."""
    if settings.auth == "bearer":
        token_file = settings.token_file
        if token_file is None:
            raise ConfigError("ehr.auth is bearer: ehr.token_file names the file with the token")
        return lambda: {"Authorization": f"Bearer {read_secret(token_file)}"}
    if settings.auth == "basic":
        username, password_file = settings.username, settings.password_file
        if username is None or password_file is None:
            raise ConfigError("ehr.auth is basic: ehr.username and ehr.password_file are needed")
        return lambda: {"Authorization": f"Basic {_pair(username, read_secret(password_file))}"}
    return dict


def _pair(username: str, password: str) -> str:
    return base64.b64encode(f"{username}:{password}".encode()).decode("ascii")
