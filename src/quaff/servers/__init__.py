"""Running an app on Granian: the development server, and the production server.

- `development.py`: what `app.run()` and `quaff run` start. One process, with reloader and debugger when asked for.
- `supervisor.py`: what `quaff serve` starts. A process that keeps worker processes alive, stops and reloads them.
- `settings.py`: every setting of the production server, with its default and its limits.
- `interface.py`: whether an app is served over WSGI or RSGI.
- `worker.py`: the one module that touches Granian's insides; both servers start their worker through it.
- `loop.py`: the event loop of an RSGI worker, from the app's startup to its shutdown.
- `wsgi.py`: the function that Granian calls for each request, and the environ that it starts from.

Nothing here knows a route or a request: a server is given any WSGI callable. Read first:
`tests/servers/test_development.py`, `tests/servers/test_supervisor.py`.
"""

from __future__ import annotations

from .development import run_development
from .errors import BindError, ServerError, SettingsError
from .settings import ServeSettings
from .supervisor import run_production

__all__ = ["BindError", "ServeSettings", "ServerError", "SettingsError", "run_development", "run_production"]
