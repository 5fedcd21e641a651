"""Flask's ten signals, on blinker.

A receiver that connects or leaves makes the compiled routes stale: a signal nobody listens to costs nothing per request.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from blinker import ANY, NamedSignal, Namespace

from ._internal.tracking import bump_all

__all__ = [
    "Namespace",
    "appcontext_popped",
    "appcontext_pushed",
    "appcontext_tearing_down",
    "before_render_template",
    "got_request_exception",
    "message_flashed",
    "request_finished",
    "request_started",
    "request_tearing_down",
    "template_rendered",
]

F = TypeVar("F", bound=Callable[..., Any])

signals_available = True
"""Always true: blinker is a dependency. COMPAT: Flask 2.2 and older had this name."""


class CoreSignal(NamedSignal):
    """A blinker signal that tells all apps when its receivers change."""

    def connect(self, receiver: F, sender: Any = ANY, weak: bool = True) -> F:
        """Connect *receiver*, as `blinker.Signal.connect` does."""
        try:
            return super().connect(receiver, sender, weak)
        finally:
            # Afterwards: what another thread compiled meanwhile knows nothing of the receiver.
            bump_all()

    def disconnect(self, receiver: Callable[..., Any], sender: Any = ANY) -> None:
        """Disconnect *receiver*, as `blinker.Signal.disconnect` does."""
        super().disconnect(receiver, sender)
        bump_all()


class _CoreNamespace(Namespace):
    """Makes `CoreSignal` objects."""

    def signal(self, name: str, doc: str | None = None) -> NamedSignal:
        """Return the signal called *name*, making it on first use."""
        if name not in self:
            self[name] = CoreSignal(name, doc)
        return self[name]


_signals = _CoreNamespace()

template_rendered = _signals.signal("template-rendered")
"""Sent after a template was rendered, with `template` and `context`."""

before_render_template = _signals.signal("before-render-template")
"""Sent before a template is rendered, with `template` and `context`."""

request_started = _signals.signal("request-started")
"""Sent when the contexts are set up, before anything else of the request runs."""

request_finished = _signals.signal("request-finished")
"""Sent when the response is complete, with `response`."""

request_tearing_down = _signals.signal("request-tearing-down")
"""Sent while the request is torn down, also after an error, with `exc`."""

got_request_exception = _signals.signal("got-request-exception")
"""Sent for an exception that no error handler took, with `exception`."""

appcontext_tearing_down = _signals.signal("appcontext-tearing-down")
"""Sent while the app context is torn down, with `exc`."""

appcontext_pushed = _signals.signal("appcontext-pushed")
"""Sent after an app context was pushed."""

appcontext_popped = _signals.signal("appcontext-popped")
"""Sent after an app context was popped."""

message_flashed = _signals.signal("message-flashed")
"""Sent when `flash` is called, with `message` and `category`."""
