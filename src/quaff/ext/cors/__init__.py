"""Cross-origin resource sharing: which pages of other sites may read an app's answers. In the place of Flask-CORS 6.

The settings and the verdicts on origins, paths and requests are pure (`settings.py`, `origins.py`, `resources.py`,
`policy.py`). `table.py` finds the policy of a route when the route is compiled, `parts.py` turns it into parts of the
pipeline, and `choice.py`, `extension.py` and `decorator.py` join that to what users write.
"""

import logging as _logging

from .decorator import cross_origin
from .extension import CORS
from .problems import LOG, CorsOptionError

__version__ = "6.0.5"
"""COMPAT: the Flask-CORS whose API this is."""

__all__ = ["CORS", "CorsOptionError", "__version__", "cross_origin"]

if LOG.level == _logging.NOTSET:
    # COMPAT: warnings are shown; whoever wants to see the verdicts lowers the level.
    LOG.setLevel(_logging.WARNING)
