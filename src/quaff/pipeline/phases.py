"""The phases of a request, in their order.

The compiled pipeline asks for the lines of each phase in this order; a phase without lines is not there. Batteries hang
their guards onto `GUARD` and their finishers onto `FINISH`; among themselves they are in the order of `Stage`, so that it
does not matter who was registered first.
"""

from __future__ import annotations

import enum


class Phase(enum.Enum):
    """One step in the life of a request. The value says what runs in it."""

    BIND = "the context is made and bound"
    OPEN = "signal appcontext_pushed; a session interface of the user's own opens the session"
    START = "functions for the first request; signal request_started; URL value preprocessors"
    GUARD = "guards of batteries, by stage; the first answer takes the place of all that comes before the result"
    BEFORE = "before_request functions: the app's, then each blueprint's, outermost first"
    VIEW = "the view, or the routing error"
    RESULT = "the result becomes a response, or directly bytes when nobody wants a response object"
    AFTER = "after_this_request and after_request functions: innermost blueprint first, the app's last"
    SESSION = "the session is saved"
    FINISH = "finishers and headers of batteries, by stage"
    FINISHED = "signal request_finished"
    SEND = "status and headers go to the server"
    END = "teardown functions and signals; the context is unbound"


class Stage(enum.IntEnum):
    """Where the parts of batteries stand among each other, guards and finishers alike."""

    HTTPS = 10
    """Redirects to HTTPS: before anything of a request is looked at that should not have been sent in the clear."""

    CORS = 20
    """Preflight requests carry no credentials and count against no limit."""

    LIMIT = 30
    """Before logins and views, which cost more than counting."""

    LOGIN = 40
    """Who the user is."""

    CSRF = 50
    """Whether the user meant it."""

    CACHE = 60
    """ETags are those of the content, before it is compressed."""

    HEADERS = 70
    """Security headers: they may depend on all of the above."""

    COMPRESS = 80
    """Last, because nobody can read the body afterwards."""
