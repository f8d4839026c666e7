"""Drafts clinical documentation beside an EHR; it cannot sign."""

__version__ = "0.1.0"
