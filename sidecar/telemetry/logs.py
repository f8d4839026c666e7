"""JSON log lines from an allow-list of keys: what is not known to be free of PHI is not written."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime

from opentelemetry import trace

from sidecar.telemetry.names import LOG_KEYS

_OWN = "sidecar"


class JsonFormatter(logging.Formatter):
    """One JSON object a line.

    Our own messages are constant event names. Of other libraries the unformatted template is written:
    arguments, exception texts and stack traces may quote a note or a URL with a patient's name.
    """

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": record.msg if isinstance(record.msg, str) else type(record.msg).__name__,
        }
        if record.name.split(".", 1)[0] == _OWN:
            line |= {key: value for key, value in vars(record).items() if key in LOG_KEYS}
        elif not record.args:
            line["event"] = "library-message"  # formatted already, so what it holds is not known
        if record.exc_info and record.exc_info[0] is not None:
            line["error_class"] = record.exc_info[0].__name__
        span = trace.get_current_span().get_span_context()
        if span.is_valid:
            line["trace_id"] = format(span.trace_id, "032x")
        return json.dumps(line, default=str)


def configure_logging(level: int = logging.INFO) -> None:
    """Send every logger's lines to stderr as JSON; libraries from WARNING on."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger(_OWN).setLevel(level)
    # Warnings carry source lines and values; they go the same way, as template only.
    logging.captureWarnings(capture=True)
