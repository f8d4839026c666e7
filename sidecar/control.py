"""Pauses that an operator sets while the worker runs, in a small YAML file.

    pause_all: false
    pause_tasks: [summary]
    pause_departments: [cardiology]

`pause_all` stops intake, and the topics wait. A document of a paused task or department is parked as
`paused` and comes back when the pause ends. No pause loses anything, which is why doubt means pause.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, ValidationError

from sidecar.checked_yaml import load_yaml
from sidecar.drafting.task import TaskKind
from sidecar.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

logger = logging.getLogger(__name__)

CHECK_SECONDS = 2.0
"""How old what `ControlFile.pauses` answers may be."""


@dataclass(frozen=True, slots=True)
class Pauses:
    """What is paused. Departments are compared as written, case included."""

    everything: bool = False
    tasks: frozenset[TaskKind] = frozenset()
    departments: frozenset[str] = frozenset()

    def hold(self, task: TaskKind, department: str | None) -> bool:
        """Say whether a document of this task and department is to be parked."""
        return self.everything or task in self.tasks or department in self.departments


class _Content(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True, coerce_numbers_to_str=True)

    pause_all: bool = False
    pause_tasks: frozenset[TaskKind] = frozenset()
    pause_departments: frozenset[str] = frozenset()


def read_pauses(path: Path) -> Pauses:
    """Read a control file; an empty one pauses nothing. Raises `ConfigError` that names file and key."""
    data, _ = load_yaml(path)
    try:
        content = _Content.model_validate({} if data is None else data)
    except ValidationError as error:
        keys = sorted({".".join(map(str, item["loc"])) for item in error.errors(include_input=False)})
        raise ConfigError(
            f"{path}: wrong at {', '.join(filter(None, keys)) or 'the top'}; "
            f"known are {', '.join(_Content.model_fields)}, tasks are {', '.join(TaskKind)}"
        ) from None
    return Pauses(content.pause_all, content.pause_tasks, content.pause_departments)


class ControlFile:
    """The pauses as the file has them now.

    Without a path, and while a file was never there, nothing is paused. Content that cannot be read, or
    a file that went, changes nothing and is logged once; content that cannot be read at start pauses
    everything, because what was meant is not known. End a pause by writing the file, not by removing it.
    """

    def __init__(self, path: Path | None, clock: Callable[[], float] = time.monotonic) -> None:
        self._path = path
        self._clock = clock
        self._looked = float("-inf")
        self._seen: tuple[int, int, int] | None = None
        self._read = False
        self._pauses = Pauses()

    @property
    def pauses(self) -> Pauses:
        """Return what is paused, at most `CHECK_SECONDS` old. Cheap enough to ask for every record."""
        now = self._clock()
        if self._path is not None and now - self._looked >= CHECK_SECONDS:
            self._looked = now
            self._look(self._path)
        return self._pauses

    def _look(self, path: Path) -> None:
        seen = _signature(path)
        if seen == self._seen:
            return
        self._seen = seen
        if seen is None:
            logger.warning("control-file-kept", extra={"code": "control-missing"})
            return
        try:
            self._pauses = read_pauses(path)
        except ConfigError:
            self._refuse()
            return
        self._read = True
        logger.info("control-file-read", extra={"code": "control-read", "state": _state(self._pauses)})

    def _refuse(self) -> None:
        logger.error("control-file-kept", extra={"code": "control-invalid"})
        if not self._read:
            self._pauses = Pauses(everything=True)


def _signature(path: Path) -> tuple[int, int, int] | None:
    """Tell one content from the next: editors and Kubernetes put another file in its place."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


def _state(pauses: Pauses) -> str:
    if pauses.everything:
        return "paused"
    return f"tasks={len(pauses.tasks)} departments={len(pauses.departments)}"
