"""The demo EHR's CapabilityStatement: what `fhir.py` does and nothing more."""

from __future__ import annotations

from typing import Any

from sidecar import __version__
from sidecar.demo.search import PARAMETERS

_INTERACTIONS = ("read", "vread", "create", "update", "delete", "search-type")


def capability_statement(base_url: str, started: str) -> dict[str, Any]:
    """Describe the server; `started` is the instant from which the statement holds."""
    return {
        "resourceType": "CapabilityStatement",
        "status": "active",
        "date": started,
        "kind": "instance",
        "software": {"name": "Demo EHR (ehr-draft-sidecar), not for clinical use", "version": __version__},
        "implementation": {"description": "Demo EHR on this machine, with invented patients", "url": base_url},
        "fhirVersion": "4.0.1",
        "format": ["json"],
        "rest": [{"mode": "server", "resource": [_resource(name) for name in PARAMETERS]}],
    }


def _resource(resource_type: str) -> dict[str, Any]:
    parameters = [{"name": name, "type": parameter.kind} for name, parameter in PARAMETERS[resource_type].items()]
    parameters += [{"name": "_id", "type": "token"}, {"name": "_lastUpdated", "type": "date"}]
    return {
        "type": resource_type,
        "interaction": [{"code": code} for code in _INTERACTIONS],
        "versioning": "versioned",
        "readHistory": True,
        "updateCreate": False,
        "conditionalCreate": True,
        "conditionalUpdate": False,
        "conditionalDelete": "not-supported",
        "searchParam": parameters,
    }
