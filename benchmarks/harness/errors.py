"""What can go wrong in a measurement."""

from __future__ import annotations


class Failed(Exception):
    """A server did not start, answered wrongly, or dropped requests: its number would mean nothing."""
