"""How hard the property tests try: HYPOTHESIS_PROFILE=long for a night's work, fast otherwise."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

# Slow machines and shared examples are no bugs of ours.
_CALM = (HealthCheck.too_slow, HealthCheck.data_too_large)

settings.register_profile("fast", max_examples=100, deadline=None, suppress_health_check=_CALM)
settings.register_profile("long", max_examples=20_000, deadline=None, suppress_health_check=_CALM)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "fast"))
