"""The settings of the production server: defaults for production, clear refusals."""

from __future__ import annotations

import dataclasses
import inspect
from pathlib import Path
from typing import Any

import pytest

from quaff.servers import ServeSettings, SettingsError
from quaff.servers import settings as settings_module
from quaff.servers.settings import Address, bracket, is_loopback


@pytest.fixture
def pem(tmp_path: Path) -> Path:
    """Give a file that could be a certificate or a key; settings only look whether it is there."""
    path = tmp_path / "some.pem"
    path.write_text("")
    return path


@pytest.mark.parametrize(
    "text,host,port,path",
    [
        ("127.0.0.1:5001", "127.0.0.1", 5001, ""),
        ("localhost:80", "localhost", 80, ""),
        ("example.test", "example.test", 8000, ""),
        (":5001", "127.0.0.1", 5001, ""),
        ("5001", "127.0.0.1", 5001, ""),
        ("0.0.0.0:0", "0.0.0.0", 0, ""),
        (" 127.0.0.1:1 ", "127.0.0.1", 1, ""),
        ("[::1]:65535", "::1", 65535, ""),
        ("[::]", "::", 8000, ""),
        ("::1", "::1", 8000, ""),
        ("2001:DB8::1", "2001:db8::1", 8000, ""),
        ("unix:/run/app.sock", "", 0, "/run/app.sock"),
        ("unix:///run/app.sock", "", 0, "/run/app.sock"),
        ("unix:app.sock", "", 0, "app.sock"),
    ],
)
def test_addresses_that_are_understood(text: str, host: str, port: int, path: str) -> None:
    """An address is host and port, either alone, or a unix socket."""
    assert Address.parse(text) == Address(host, port, path)


@pytest.mark.parametrize(
    "text,complaint",
    [
        ("", "is not an address"),
        ("unix:", "there is no path"),
        ("127.0.0.1:http", "the port 'http' is not a number"),
        ("127.0.0.1:65536", "the port '65536' is not a number from 0 to 65535"),
        ("127.0.0.1:-1", "is not an address"),
        ("127.0.0.1:", "the port '' is not a number"),
        ("99999", "the port '99999'"),
        ("127.0.0.1:٣", "the port '٣' is not a number"),
        ("[127.0.0.1]:80", "is not an IPv6 address"),
        ("[::1:80", "is not an address"),
        ("a:b:c", "is not an IPv6 address"),
    ],
)
def test_addresses_that_are_refused(text: str, complaint: str) -> None:
    """What is not an address is refused, with the text that was given and what is wrong with it."""
    with pytest.raises(SettingsError) as caught:
        Address.parse(text)
    assert complaint in str(caught.value)
    assert repr(text) in str(caught.value)


@pytest.mark.parametrize("text", ["127.0.0.1:5001", "[::1]:80", "unix:/run/app.sock", "example.test:8000"])
def test_an_address_prints_as_it_is_written(text: str) -> None:
    """The text of an address can be parsed again."""
    assert str(Address.parse(text)) == text


@pytest.mark.parametrize(
    "host,expected",
    [
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("::", False),
        ("192.168.1.5", False),
        ("example.test", False),
        ("localhost.example.test", False),
        ("", False),
    ],
)
def test_loopback_is_known(host: str, expected: bool) -> None:
    """Only addresses that no other machine reaches count as loopback; a name that could be anything does not."""
    assert is_loopback(host) is expected


def test_a_unix_socket_is_local() -> None:
    """A unix socket can be reached from this machine only."""
    assert Address(path="/run/app.sock").is_loopback
    assert Address(path="/run/app.sock").is_unix
    assert not Address("0.0.0.0", 80).is_loopback


@pytest.mark.parametrize("host,expected", [("::1", "[::1]"), ("127.0.0.1", "127.0.0.1"), ("a.test", "a.test")])
def test_brackets_are_for_ipv6(host: str, expected: str) -> None:
    """Only IPv6 addresses stand in brackets in a URL."""
    assert bracket(host) == expected


def test_defaults_are_for_production() -> None:
    """Without any setting the server has the limits that the security programme names."""
    settings = ServeSettings()
    assert settings.bind == Address("127.0.0.1", 8000)
    assert settings.workers >= 2
    assert settings.threads >= 8
    assert settings.backpressure >= 8192
    assert settings.header_limit == 32 * 1024
    assert settings.graceful_timeout == 30
    assert settings.http_mode == "1"
    assert settings.access_log is None
    assert not settings.uses_tls
    assert settings.tls_minimum == "1.2"
    assert settings.unix_permissions == 0o660


@pytest.mark.parametrize(
    "bind,seconds",
    [("127.0.0.1:80", 75), ("unix:/run/app.sock", 75), ("[::1]:80", 75), ("0.0.0.0:80", 10), ("example.test:80", 10)],
)
def test_header_timeout_depends_on_who_connects(bind: str, seconds: float) -> None:
    """A proxy on this machine is not hung up on; strangers get ten seconds."""
    assert ServeSettings(bind=Address.parse(bind)).header_seconds == seconds


def test_header_timeout_can_be_set() -> None:
    """A header timeout that was set counts for every address."""
    assert ServeSettings(header_timeout=3).header_seconds == 3
    assert ServeSettings(bind=Address("0.0.0.0", 80), header_timeout=75).header_seconds == 75


@pytest.mark.parametrize(
    "name,value",
    [
        ("workers", 0),
        ("workers", 1025),
        ("threads", 0),
        ("threads", 4097),
        ("backpressure", 0),
        ("backlog", 127),
        ("header_limit", 8191),
        ("header_limit", 1024 * 1024 + 1),
        ("header_timeout", 0),
        ("graceful_timeout", -1),
        ("boot_timeout", 0.5),
    ],
)
def test_values_outside_their_limits_are_refused(name: str, value: Any) -> None:
    """The message names the setting, the value and the limits."""
    with pytest.raises(SettingsError, match=rf"{name}={value} is outside its limits: "):
        ServeSettings(**{name: value})


@pytest.mark.parametrize(
    "name,value",
    [
        ("workers", 1),
        ("workers", 1024),
        ("threads", 1),
        ("backlog", 128),
        ("header_limit", 8192),
        ("graceful_timeout", 0),
        ("boot_timeout", 1),
    ],
)
def test_values_at_their_limits_are_taken(name: str, value: Any) -> None:
    """A limit itself is allowed."""
    assert getattr(ServeSettings(**{name: value}), name) == value


@pytest.mark.parametrize(
    "values",
    [
        {"http": "3"},
        {"http": "1.1"},
        {"tls_minimum": "1.1"},
        {"tls_minimum": "tls1.2"},
        {"interface": "asgi"},
        {"interface": "RSGI"},
        {"interface": "http2"},
        {"interface": ""},
    ],
)
def test_unknown_protocols_are_refused(values: dict[str, str]) -> None:
    """Interfaces, and versions of HTTP and TLS, that the server does not speak are named in the message."""
    ((name, value),) = values.items()
    with pytest.raises(SettingsError, match=f"{name}={value!r} is not one of"):
        ServeSettings(**values)  # type: ignore[arg-type]


@pytest.mark.parametrize("interface", [None, "wsgi", "rsgi", "http1"])
def test_the_interface_can_be_asked_for(interface: str | None) -> None:
    """By default the app chooses."""
    assert ServeSettings(interface=interface).interface == interface
    assert ServeSettings.from_mapping({"interface": interface}).interface == interface
    assert ServeSettings().interface is None


def test_tls_needs_certificate_and_key(pem: Path) -> None:
    """One of the two alone is a mistake, and the message says which is missing."""
    with pytest.raises(SettingsError, match="certificate is set without key"):
        ServeSettings(certificate=pem)
    with pytest.raises(SettingsError, match="key is set without certificate"):
        ServeSettings(key=pem)


def test_client_certificates_need_tls(pem: Path) -> None:
    """What only makes sense with TLS is refused without."""
    with pytest.raises(SettingsError, match="set certificate and key as well"):
        ServeSettings(client_ca=pem)


@pytest.mark.parametrize("missing", ["certificate", "key", "client_ca"])
def test_files_of_tls_must_exist(pem: Path, missing: str) -> None:
    """A file that is not there is noticed before the server starts."""
    files = {"certificate": pem, "key": pem, "client_ca": pem} | {missing: pem.with_name("gone.pem")}
    with pytest.raises(SettingsError, match=rf"{missing}: there is no file '.*gone\.pem'"):
        ServeSettings(**files)  # type: ignore[arg-type]


def test_http_mode_follows_tls(pem: Path) -> None:
    """HTTP/2 is negotiated where there is TLS, and only there unless asked for."""
    assert ServeSettings(certificate=pem, key=pem).http_mode == "auto"
    assert ServeSettings(certificate=pem, key=pem, http="1").http_mode == "1"
    assert ServeSettings(http="auto").http_mode == "auto"


def test_settings_cannot_be_changed() -> None:
    """Settings are frozen: what was checked is what is used."""
    with pytest.raises(dataclasses.FrozenInstanceError):
        ServeSettings().workers = 3  # type: ignore[misc]


def test_from_mapping_takes_text_and_leaves_out_none(pem: Path) -> None:
    """Values from a command line or a file may be text; None stands for the default."""
    settings = ServeSettings.from_mapping(
        {"bind": ":5001", "workers": 3, "threads": None, "certificate": str(pem), "key": pem, "pid_file": "a.pid"}
    )
    assert settings.bind == Address("127.0.0.1", 5001)
    assert settings.workers == 3
    assert settings.threads == ServeSettings().threads
    assert settings.certificate == pem
    assert settings.pid_file == Path("a.pid")


@pytest.mark.parametrize(
    "name,guess",
    [
        ("worker", "workers"),
        ("thread", "threads"),
        ("certficate", "certificate"),
        ("gracefull_timeout", "graceful_timeout"),
    ],
)
def test_from_mapping_guesses_what_was_meant(name: str, guess: str) -> None:
    """A name that is nearly right is answered with the right one."""
    with pytest.raises(SettingsError, match=f"{name!r} is not a setting of the server. Did you mean {guess!r}"):
        ServeSettings.from_mapping({name: 1})


def test_from_mapping_lists_the_settings_when_it_cannot_guess() -> None:
    """A name that resembles nothing is answered with all of them."""
    with pytest.raises(SettingsError) as caught:
        ServeSettings.from_mapping({"zzz": 1})
    assert all(setting.name in str(caught.value) for setting in dataclasses.fields(ServeSettings))


def test_every_setting_is_explained() -> None:
    """Each field of the settings has a docstring under it."""
    source = inspect.getsource(settings_module.ServeSettings)
    for setting in dataclasses.fields(ServeSettings):
        _, _, after = source.partition(f"\n    {setting.name}: ")
        assert after.partition("\n")[2].lstrip().startswith('"""'), setting.name
