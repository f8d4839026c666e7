"""The data of Azure Health Data Services' FHIR events: which resource changed, never the resource.

It comes in a CloudEvent or in Event Grid's form, alone or as an array; Azure does not order the events
of one Bundle, so the EHR is always asked.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sidecar.intake.envelopes.resource import event_of

if TYPE_CHECKING:
    from sidecar.intake.envelopes.resource import Events, Message


def is_fhir_change(message: Message) -> bool:
    return "resourceFhirId" in message


def open_fhir_change(message: Message) -> Events:
    return (event_of(message.get("resourceType"), message["resourceFhirId"], message.get("resourceVersionId")),)
