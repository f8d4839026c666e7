"""What one kind of EHR can hold: `mappings/ehr/*.yaml`, joined with what the server declares of itself."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from sidecar.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

Declared: TypeAlias = Literal["always", "declared", "never"]

# CapabilityStatement.rest.resource.versioning: without versions nothing keeps a PUT off a person's work.
_VERSIONED = ("versioned", "versioned-update")


@dataclass(frozen=True, slots=True)
class Profile:
    """One capability profile. Times are seconds."""

    name: str
    title: str
    holds_drafts: bool
    conditional_create: Declared
    identifier_search: bool
    settle_seconds: float
    encounter: Literal["required", "optional", "omit"]
    author: Literal["device", "display", "omit"]
    attachment: str
    security_labels: bool
    provenance: Declared
    replace: Literal["put", "declared", "none"]


def profile_of(data: Mapping[str, Any]) -> Profile:
    """Build the profile from a mapping that its schema accepted.

    Raises `ConfigError` for a target that cannot hold an unsigned draft: nothing is ever upgraded.
    """
    profile = Profile(**data)
    if not profile.holds_drafts:
        msg = f"ehr.profile {profile.name} cannot hold an unsigned draft: {profile.title} is no target for drafts"
        raise ConfigError(msg)
    return profile


def settle_profile(profile: Profile, capabilities: Mapping[str, Any]) -> Profile:
    """Replace every `declared` by what the CapabilityStatement says.

    Raises `ConfigError` when the server does not let DocumentReference be read or created.
    """
    documents = _resource(capabilities, "DocumentReference")
    missing = {"create", "read"} - _interactions(documents)
    if missing:
        msg = f"the EHR's CapabilityStatement offers no DocumentReference {' or '.join(sorted(missing))}"
        raise ConfigError(msg)
    can_replace = "update" in _interactions(documents) and documents.get("versioning") in _VERSIONED
    has_agents = all("create" in _interactions(_resource(capabilities, name)) for name in ("Device", "Provenance"))
    return replace(
        profile,
        conditional_create=_settle(profile.conditional_create, declared=documents.get("conditionalCreate") is True),
        provenance=_settle(profile.provenance, declared=has_agents),
        replace=("put" if can_replace else "none") if profile.replace == "declared" else profile.replace,
    )


def _settle(value: Declared, *, declared: bool) -> Declared:
    if value != "declared":
        return value
    return "always" if declared else "never"


def _resource(capabilities: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    for rest in capabilities.get("rest") or []:
        for resource in rest.get("resource") or []:
            if resource.get("type") == name:
                return resource  # type: ignore[no-any-return]  # raw JSON
    return {}


def _interactions(resource: Mapping[str, Any]) -> set[str]:
    return {str(item.get("code")) for item in resource.get("interaction") or []}
