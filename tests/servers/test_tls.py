"""TLS files that cannot be used are explained before the server starts; those that can make a context."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

import pytest

from quaff.servers import ServeSettings, SettingsError
from quaff.servers.tls import check_certificate, server_context
from tests.servers import certificates


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> certificates.Pair:
    """Give a certificate authority."""
    return certificates.make(tmp_path_factory.mktemp("authority"), "authority")


def test_without_tls_there_is_nothing_to_check() -> None:
    """Settings without a certificate pass."""
    check_certificate(ServeSettings())


def test_a_pair_that_fits_passes(tmp_path: Path, authority: certificates.Pair) -> None:
    """A certificate with its key and an authority for clients is fine."""
    pair = certificates.make(tmp_path, "server", issuer=authority)
    check_certificate(ServeSettings(certificate=pair.certificate, key=pair.key, client_ca=authority.certificate))


def test_a_key_of_another_certificate_is_refused(tmp_path: Path, authority: certificates.Pair) -> None:
    """Both files are named."""
    one = certificates.make(tmp_path, "one", issuer=authority)
    two = certificates.make(tmp_path, "two", issuer=authority)
    with pytest.raises(SettingsError, match=r"one\.pem' cannot be used with the key '.*two\.key'"):
        check_certificate(ServeSettings(certificate=one.certificate, key=two.key))


def test_a_key_with_a_password_is_refused(tmp_path: Path, authority: certificates.Pair) -> None:
    """Nobody is asked for a password on the terminal; the message says how to be rid of it."""
    pair = certificates.make(tmp_path, "server", issuer=authority, password="open sesame")
    with pytest.raises(SettingsError, match=r"server\.key' has a password.*openssl pkey -in KEY"):
        check_certificate(ServeSettings(certificate=pair.certificate, key=pair.key))


@pytest.mark.parametrize("which", ["certificate", "key", "client_ca"])
def test_a_file_with_something_else_is_refused(tmp_path: Path, authority: certificates.Pair, which: str) -> None:
    """A file that holds no PEM is one clear error."""
    pair = certificates.make(tmp_path, "server", issuer=authority)
    nonsense = tmp_path / "notes.txt"
    nonsense.write_text("remember the milk")
    files = {"certificate": pair.certificate, "key": pair.key, "client_ca": authority.certificate} | {which: nonsense}
    with pytest.raises(SettingsError, match="cannot be used"):
        check_certificate(ServeSettings(**files))  # type: ignore[arg-type]


# The context -----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory, authority: certificates.Pair) -> certificates.Pair:
    """Give a certificate for a server."""
    return certificates.make(tmp_path_factory.mktemp("server"), "server", issuer=authority)


def shake_hands(server: ssl.SSLContext, client: ssl.SSLContext) -> ssl.SSLObject:
    """Let the two speak to each other, in memory, and return the side of the server; raise what either does."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ours = server.wrap_bio(to_server, to_client, server_side=True)
    theirs = client.wrap_bio(to_client, to_server, server_hostname="127.0.0.1")
    waiting = [theirs, ours]
    while waiting:
        for side in list(waiting):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
            waiting.remove(side)
    return ours


def client_context(authority: certificates.Pair, **values: Any) -> ssl.SSLContext:
    """Return the context of a client that trusts *authority*; *values* become attributes of it."""
    context = ssl.create_default_context(cafile=str(authority.certificate))
    for name, value in values.items():
        setattr(context, name, value)
    return context


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_what_is_spoken(authority: certificates.Pair, pair: certificates.Pair, version: ssl.TLSVersion) -> None:
    """TLS 1.2 and 1.3, and HTTP/1.1 on top of it, also with clients that would like another version better."""
    context = server_context(ServeSettings(certificate=pair.certificate, key=pair.key))
    client = client_context(authority, minimum_version=version, maximum_version=version)
    client.set_alpn_protocols(["h2", "http/1.1"])
    session = shake_hands(context, client)
    assert session.version() == version.name.replace("_", ".")
    assert session.selected_alpn_protocol() == "http/1.1"
    assert shake_hands(context, client_context(authority)).selected_alpn_protocol() is None


def test_old_versions_are_refused(authority: certificates.Pair, pair: certificates.Pair) -> None:
    """Nothing below TLS 1.2 is ever spoken, and 1.2 is not where 1.3 is asked for."""
    files = {"certificate": pair.certificate, "key": pair.key}
    assert server_context(ServeSettings(**files)).minimum_version is ssl.TLSVersion.TLSv1_2  # type: ignore[arg-type]
    strict = server_context(ServeSettings(**files, tls_minimum="1.3"))  # type: ignore[arg-type]
    assert strict.minimum_version is ssl.TLSVersion.TLSv1_3
    with pytest.raises(ssl.SSLError):
        shake_hands(strict, client_context(authority, maximum_version=ssl.TLSVersion.TLSv1_2))
    assert shake_hands(strict, client_context(authority)).version() == "TLSv1.3"


def test_clients_need_a_certificate_where_an_authority_is_named(
    tmp_path: Path, authority: certificates.Pair, pair: certificates.Pair
) -> None:
    """SECURITY: without one, or with one of somebody else's, there is no connection; without `client_ca` nobody is asked."""
    settings = ServeSettings(certificate=pair.certificate, key=pair.key, client_ca=authority.certificate)
    context = server_context(settings)
    assert context.verify_mode is ssl.CERT_REQUIRED
    # In TLS 1.3 a client believes that it is connected before the server has looked.
    version = {"maximum_version": ssl.TLSVersion.TLSv1_2}
    with pytest.raises(ssl.SSLError):
        shake_hands(context, client_context(authority, **version))
    stranger = certificates.make(tmp_path, "stranger", issuer=certificates.make(tmp_path, "elsewhere"))
    client = client_context(authority, **version)
    client.load_cert_chain(stranger.certificate, stranger.key)
    with pytest.raises(ssl.SSLError):
        shake_hands(context, client)
    known = certificates.make(tmp_path, "known", issuer=authority)
    client = client_context(authority, **version)
    client.load_cert_chain(known.certificate, known.key)
    assert shake_hands(context, client).getpeercert()
    unasked = server_context(ServeSettings(certificate=pair.certificate, key=pair.key))
    assert unasked.verify_mode is ssl.CERT_NONE
