"""What old tests expect of Python and nose, for tests that are older than today's.

Only names that the tests themselves use are put back. Nothing of an extension is mended by it.
"""

from __future__ import annotations

import unittest

_OLD_NAMES = {
    "assertEquals": "assertEqual",
    "assertNotEquals": "assertNotEqual",
    "assertRegexpMatches": "assertRegex",
    "assertItemsEqual": "assertCountEqual",
}

for _old, _new in _OLD_NAMES.items():
    if not hasattr(unittest.TestCase, _old):
        setattr(unittest.TestCase, _old, getattr(unittest.TestCase, _new))

try:
    import nose.tools
except ImportError:
    pass
else:
    if not hasattr(nose.tools, "assert_equals"):
        nose.tools.assert_equals = nose.tools.assert_equal

try:
    import flask.signals
except ImportError:
    pass
else:
    if not hasattr(flask.signals, "signals_available"):
        flask.signals.signals_available = True
