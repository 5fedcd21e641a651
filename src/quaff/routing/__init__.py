"""From a path to a route, and from a route to a URL.

Werkzeug's `Map` holds the rules, parses them and stays the authority: `matcher.py` generates a function from the map's own
state machine that gives the same answer for all that is usual, and says "ask the map" for the rest (redirects, merged
slashes, rules that end in more than a path). `builder.py` does the same for `url_for`. The property tests in
`tests/differential/` hold them against each other.
"""

from .builder import UrlBuilder as UrlBuilder
from .map import Map as Map
from .map import Rule as Rule
from .matcher import ASK_THE_MAP as ASK_THE_MAP
from .router import Router as Router
