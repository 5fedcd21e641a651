"""The production server over TLS: what it speaks, whom it asks for a certificate, and which files it refuses."""

from __future__ import annotations

import http.client
import os
import ssl
from pathlib import Path
from typing import Any

import pytest

from quaff.servers import ServeSettings, SettingsError, run_production
from tests.servers import certificates
from tests.servers.process import PATIENCE, Answer, ServerProcess, ask
from tests.servers.supervised import serving

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="workers are forked")


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> certificates.Pair:
    """Give a certificate authority."""
    return certificates.make(tmp_path_factory.mktemp("authority"), "authority")


def https(server: ServerProcess, context: ssl.SSLContext) -> Answer:
    """Ask once over TLS."""
    return ask(http.client.HTTPSConnection("127.0.0.1", server.port, context=context, timeout=PATIENCE))


def test_tls(tmp_path: Path, authority: certificates.Pair) -> None:
    """HTTPS is served with the certificate, in TLS 1.2 and 1.3, and HTTP/2 is on offer."""
    pair = certificates.make(tmp_path, "server", issuer=authority)
    values = {"certificate": str(pair.certificate), "key": str(pair.key)}
    with serving(tmp_path, **values) as server:
        assert f"Serving on https://127.0.0.1:{server.port}" in server.output
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            context = ssl.create_default_context(cafile=str(authority.certificate))
            context.minimum_version = context.maximum_version = version
            assert https(server, context).status == 200
        context = ssl.create_default_context(cafile=str(authority.certificate))
        context.set_alpn_protocols(["h2", "http/1.1"])
        connection = http.client.HTTPSConnection("127.0.0.1", server.port, context=context, timeout=PATIENCE)
        connection.connect()
        assert isinstance(connection.sock, ssl.SSLSocket)
        assert connection.sock.selected_alpn_protocol() == "h2"
        connection.close()


def test_tls_can_be_limited_to_1_3(tmp_path: Path, authority: certificates.Pair) -> None:
    """A client that speaks TLS 1.2 only is refused where 1.3 is the minimum."""
    pair = certificates.make(tmp_path, "server", issuer=authority)
    values = {"certificate": str(pair.certificate), "key": str(pair.key), "tls_minimum": "1.3"}
    with serving(tmp_path, **values) as server:
        context = ssl.create_default_context(cafile=str(authority.certificate))
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        with pytest.raises((ssl.SSLError, OSError)):
            https(server, context)
        assert https(server, ssl.create_default_context(cafile=str(authority.certificate))).status == 200


def test_tls_can_ask_for_client_certificates(tmp_path: Path, authority: certificates.Pair) -> None:
    """With `client_ca` only clients with a certificate of that authority are answered."""
    pair = certificates.make(tmp_path, "server", issuer=authority)
    client = certificates.make(tmp_path, "client", issuer=authority)
    values = {"certificate": str(pair.certificate), "key": str(pair.key), "client_ca": str(authority.certificate)}
    with serving(tmp_path, **values) as server:
        context = ssl.create_default_context(cafile=str(authority.certificate))
        with pytest.raises((ssl.SSLError, OSError, http.client.HTTPException)):
            https(server, context)
        context.load_cert_chain(str(client.certificate), str(client.key))
        assert https(server, context).status == 200


def test_tls_files_are_checked_before_the_socket(tmp_path: Path, authority: certificates.Pair) -> None:
    """Certificate and key that do not belong together are named, and nothing is loaded or listened on."""
    one = certificates.make(tmp_path, "one", issuer=authority)
    two = certificates.make(tmp_path, "two", issuer=authority)

    def load() -> Any:
        raise AssertionError("nothing is loaded")

    with pytest.raises(SettingsError, match=r"one\.pem' cannot be used with the key '.*two\.key'"):
        run_production(load, ServeSettings(certificate=one.certificate, key=two.key))
