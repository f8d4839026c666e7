"""OperationOutcome: how the demo EHR says no."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Issue:
    """`code` is of the IssueType value set; `expression` is a FHIRPath; neither holds a value of the resource."""

    code: str
    diagnostics: str
    expression: str | None = None


class FhirError(Exception):
    """A request that is answered with an HTTP error status and an OperationOutcome."""

    def __init__(self, status: int, *issues: Issue) -> None:
        super().__init__(f"HTTP {status} {','.join(issue.code for issue in issues)}")
        self.status = status
        self.issues = issues


def refuse(status: int, code: str, diagnostics: str) -> FhirError:
    return FhirError(status, Issue(code, diagnostics))


def operation_outcome(*issues: Issue, severity: str = "error") -> dict[str, Any]:
    return {"resourceType": "OperationOutcome", "issue": [_issue(issue, severity) for issue in issues]}


def _issue(issue: Issue, severity: str) -> dict[str, Any]:
    body: dict[str, Any] = {"severity": severity, "code": issue.code, "diagnostics": issue.diagnostics}
    if issue.expression is not None:
        body["expression"] = [issue.expression]
    return body
