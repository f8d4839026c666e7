"""Every span, attribute and log key of this product, in one place.

Messaging names follow OpenTelemetry semantic conventions 1.44 and GenAI names its development state:
both still change, so nothing outside this module spells one.
"""

from __future__ import annotations

SCHEMA_URL = "https://opentelemetry.io/schemas/1.44.0"
SERVICE_NAME = "ehr-draft-sidecar"

# Spans: one trace an event.
PROCESS = "process"
READ = "read"
EXTRACT = "extract"
DRAFT = "draft"
REVIEW = "review"
FILE = "file"
SETTLE = "settle"

# Attributes of `process`.
MESSAGING_SYSTEM = "messaging.system"
MESSAGING_OPERATION_TYPE = "messaging.operation.type"
MESSAGING_DESTINATION = "messaging.destination.name"
MESSAGING_PARTITION = "messaging.destination.partition.id"
MESSAGING_GROUP = "messaging.consumer.group.name"
KAFKA_OFFSET = "messaging.kafka.offset"

# Attributes of `draft`. Content (prompts, answers) has no name here on purpose.
GEN_AI_OPERATION = "gen_ai.operation.name"
GEN_AI_MODEL = "gen_ai.request.model"
GEN_AI_INPUT_TOKENS = "gen_ai.usage.input_tokens"
GEN_AI_OUTPUT_TOKENS = "gen_ai.usage.output_tokens"

ERROR_TYPE = "error.type"

# Ours.
OUTCOME = "sidecar.outcome"
REASON = "sidecar.reason"
TASK = "sidecar.task"
SOURCE = "sidecar.source"
DRAFT_ID = "sidecar.draft_id"
STATEMENTS = "sidecar.statements"
STATEMENTS_REMOVED = "sidecar.statements.removed"
NOT_CARRIED_OVER = "sidecar.not_carried_over"
SENTENCES = "sidecar.sentences"
MEDIA_TYPE = "sidecar.media_type"

LOG_KEYS = frozenset(
    {
        "attempts",
        "bytes",
        "code",
        "coordinates",
        "detail",
        "draft_id",
        "error_class",
        "events",
        "group",
        "mode",
        "outcome",
        "profile",
        "reason",
        "seconds",
        "signal",
        "source",
        "stage",
        "state",
        "target",
        "task",
        "topics",
        "version",
    }
)
"""What a log line may carry beside its event name; everything else is dropped."""
