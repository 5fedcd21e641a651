"""The phases of a request, in their order.

The compiled pipeline asks for the lines of each phase in this order; a phase without lines is not there. Batteries will
hang their guards, wrappers and finishers onto phases, so that their order does not depend on who was registered first.
"""

from __future__ import annotations

import enum


class Phase(enum.Enum):
    """One step in the life of a request. The value says what runs in it."""

    BIND = "the context is made and bound"
    OPEN = "signal appcontext_pushed; a session interface of the user's own opens the session"
    START = "functions for the first request; signal request_started; URL value preprocessors"
    BEFORE = "before_request functions: the app's, then each blueprint's, outermost first"
    VIEW = "the view, or the routing error"
    RESULT = "the result becomes a response, or directly bytes when nobody wants a response object"
    AFTER = "after_this_request and after_request functions: innermost blueprint first, the app's last"
    SESSION = "the session is saved"
    FINISHED = "signal request_finished"
    SEND = "status and headers go to the server"
    END = "teardown functions and signals; the context is unbound"
