"""How many examples the property tests try, and which.

By default the examples are few and the same on every run: a failure is then about the change at hand, and the run stays
short. `QUAFF_EXAMPLES=2000` tries that many, still the same ones each time; CI runs so. With `QUAFF_EXPLORE=1` too, each
run draws new ones and prints what reproduces a failure: do that after a change to the router or the pipelines, and keep what
it finds as an `@example` or as a test of its own.
"""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

EXPLORE = os.environ.get("QUAFF_EXPLORE", "0") not in {"", "0"}


def examples(few: int) -> settings:
    """Return the settings for a property test that tries *few* examples unless the environment asks for more."""
    return settings(
        max_examples=max(few, int(os.environ.get("QUAFF_EXAMPLES", "0"))),
        derandomize=not EXPLORE,
        database=None,
        deadline=None,
        print_blob=EXPLORE,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.function_scoped_fixture],
    )
