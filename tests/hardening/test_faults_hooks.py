"""Exceptions in whatever an application may define: one line in the log, an answer, and nothing left."""

from __future__ import annotations

from typing import Any

import pytest
from connectionhelpers import SteadyClock
from hardening.faults import failuresLogged, keep, remains
from hardening.faultscases import Failing, cases
from hardening.faultsvisit import VERSIONS, visit


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("kind", cases(), ids=lambda kind: kind.__name__)
def test_hook(kind: Any, version: str) -> None:
    """The client hears of it, the log has it once, the server goes on, and nothing remains."""
    with keep(), failuresLogged() as logged:
        clock = SteadyClock()
        server = kind(clock)
        visitor = visit(version, server, clock)
        server.visited(visitor)
        visitor.turn()
        assert visitor.outcome() == kind.answer
        visitor.leave()
        del visitor
        proveLife(version, server, clock)
        # What nobody waits for is told when it is collected.
        remains()
        types = [getattr(each, "type", each) for each in logged]
        logged.clear()
        assert len(types) == 1, types
        assert not server._site.connections
        assert not clock.getDelayedCalls()
        assert remains() == {}


def proveLife(version: str, server: Failing, clock: SteadyClock) -> None:
    """The next one is served."""
    visitor = visit(version, server, clock)
    visitor.ask("/fine")
    visitor.turn()
    assert visitor.outcome() == 200
    visitor.leave()
