"""Stands in for lovely-pytest-docker, which the tests of Flask-Limiter ask for.

The runner starts the servers on the ports that the containers would have had. Where it could not, the tests that want one
fail quickly.
"""

from __future__ import annotations

import socket

import pytest

PORTS = {"redis": 46379, "memcached": 31211}


class Services:
    """What the fixture gives: something that starts services by name."""

    def start(self, *names: str) -> None:
        """Fail the test unless the services that are known here listen."""
        for name in set(names) & set(PORTS):
            try:
                socket.create_connection(("127.0.0.1", PORTS[name]), 1).close()
            except OSError:
                pytest.fail(f"{name} does not listen", pytrace=False)

    def wait_for_service(self, *args: object, **kwargs: object) -> None:
        """Return at once: what listens is ready."""


@pytest.fixture(scope="session")
def docker_services() -> Services:
    """Give what stands in for the containers."""
    return Services()
