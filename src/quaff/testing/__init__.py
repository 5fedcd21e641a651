"""Testing an app: a client that sends requests to it without a server, and a runner for its commands.

`app.test_client()` and `app.test_cli_runner()` make them.
"""

from __future__ import annotations

from .client import EnvironBuilder, FlaskClient, QuaffClient
from .runner import FlaskCliRunner, QuaffCliRunner

__all__ = ["EnvironBuilder", "FlaskCliRunner", "FlaskClient", "QuaffCliRunner", "QuaffClient"]
