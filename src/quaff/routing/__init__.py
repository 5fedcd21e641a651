"""From a path to a route, and from a route to a URL.

Werkzeug's `Map` holds the rules, parses them and stays the authority: `matcher.py` generates a function from the map's own
state machine that gives the same answer for all that is usual, and says "ask the map" for the rest (redirects, merged
slashes, rules that end in more than a path). `builder.py` does the same for `url_for`. The property tests in
`tests/differential/` hold them against each other.
"""

# PERF: the matcher, the router and the builder are imported by the first request that needs them.
from .map import Map as Map
from .map import Rule as Rule
