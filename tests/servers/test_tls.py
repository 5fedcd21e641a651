"""TLS files that cannot be used are explained before the server starts."""

from __future__ import annotations

from pathlib import Path

import pytest

from quaff.servers import ServeSettings, SettingsError
from quaff.servers.tls import check_certificate
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
