"""Certificates, lists of paths and permissions on the command line."""

from __future__ import annotations

import os
import ssl
import sys
from pathlib import Path
from typing import Any

import click
import pytest

from quaff.cli import CertParamType, SeparatedPathType, run_command
from quaff.cli.params import OctalType
from tests.cli.project import Project


def parse(*arguments: str) -> dict[str, Any]:
    """Return the parameters that `quaff run ARGUMENTS...` would get."""
    return run_command.make_context("run", list(arguments)).params


@pytest.fixture
def files(project: Project) -> tuple[str, str]:
    """Give the paths of a certificate and a key; nobody looks into them here."""
    return str(project.write("cert.pem", "")), str(project.write("key.pem", ""))


@pytest.fixture
def context_module(project: Project) -> ssl.SSLContext:
    """Give the `SSLContext` that `tls_of_test:context` names, beside `tls_of_test:text`, which is none."""
    project.write("tls_of_test.py", "import ssl\ncontext = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)\ntext = 'x'\n")
    sys.path.insert(0, str(project.folder))
    import tls_of_test

    context: ssl.SSLContext = tls_of_test.context
    return context


@pytest.mark.parametrize("key_first", [False, True])
def test_certificate_and_key(files: tuple[str, str], key_first: bool) -> None:
    """Certificate and key make a pair, in whichever order they are given; there is no parameter `key`."""
    cert, key = files
    options = [["--cert", cert], ["--key", key]]
    ordered = reversed(options) if key_first else options
    params = parse(*(word for option in ordered for word in option))
    assert params["cert"] == (cert, key)
    assert "key" not in params


def test_path_is_made_absolute(files: tuple[str, str]) -> None:
    """The files are found again after a change of the current folder."""
    assert parse("--cert", "cert.pem", "--key", "key.pem")["cert"] == files


def test_certificate_without_key(files: tuple[str, str]) -> None:
    """A certificate in a file needs its key."""
    with pytest.raises(click.BadParameter, match='Required when using "--cert"'):
        parse("--cert", files[0])


def test_key_without_certificate(files: tuple[str, str]) -> None:
    """A key alone is a mistake."""
    with pytest.raises(click.BadParameter, match='"--cert" must also be specified'):
        parse("--key", files[1])


@pytest.mark.parametrize("word", ["adhoc", "ADHOC"])
def test_adhoc(word: str) -> None:
    """The word `adhoc`, in any case, asks for a certificate made on the spot."""
    assert parse("--cert", word)["cert"] == "adhoc"


def test_adhoc_takes_no_key(files: tuple[str, str]) -> None:
    """A certificate made on the spot has its own key."""
    with pytest.raises(click.BadParameter, match='When "--cert" is "adhoc", "--key" is not used'):
        parse("--cert", "adhoc", "--key", files[1])


def test_adhoc_needs_cryptography(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the package that makes certificates, the message says what to install."""
    monkeypatch.setitem(sys.modules, "cryptography", None)
    with pytest.raises(click.BadParameter, match="pip install cryptography"):
        parse("--cert", "adhoc")


@pytest.mark.parametrize("name", ["tls_of_test:context", "tls_of_test.context"])
def test_context_by_import_name(context_module: ssl.SSLContext, name: str) -> None:
    """The import name of an `SSLContext` gives that object."""
    assert parse("--cert", name)["cert"] is context_module


def test_context_takes_no_key(context_module: ssl.SSLContext, files: tuple[str, str]) -> None:
    """A context has its key already."""
    with pytest.raises(click.BadParameter, match="an SSLContext object"):
        parse("--cert", "tls_of_test:context", "--key", files[1])


@pytest.mark.parametrize("value", ["missing.pem", "tls_of_test:text", "no_such_module:context"])
def test_neither_file_nor_context(context_module: ssl.SSLContext, value: str) -> None:
    """Anything else is told as the file that is not there."""
    with pytest.raises(click.BadParameter, match="does not exist"):
        parse("--cert", value)


def test_certificate_is_no_folder(project: Project) -> None:
    """A folder is not a certificate."""
    with pytest.raises(click.BadParameter, match="is a directory"):
        parse("--cert", str(project.folder), "--key", str(project.folder))


def test_python_without_tls(monkeypatch: pytest.MonkeyPatch) -> None:
    """A Python that was built without TLS says so."""
    monkeypatch.setitem(sys.modules, "ssl", None)
    with pytest.raises(click.BadParameter, match="built with TLS"):
        CertParamType().convert("adhoc", None, None)


def test_separated_paths() -> None:
    """One value holds several paths, separated as in PATH; an empty one would mean the root of the file system."""
    value = os.pathsep.join(["a.yml", "", "b/c.yml", __file__])
    assert SeparatedPathType().convert(value, None, None) == ["a.yml", "b/c.yml", __file__]
    assert SeparatedPathType().convert("", None, None) == []


def test_separated_paths_are_checked(tmp_path: Path) -> None:
    """Each of the paths is held to what the type demands, as with `click.Path`."""
    value = os.pathsep.join([__file__, str(tmp_path / "missing")])
    with pytest.raises(click.BadParameter, match="missing"):
        SeparatedPathType(exists=True).convert(value, None, None)


@pytest.mark.parametrize("option", ["extra-files", "exclude-patterns"])
def test_separated_paths_of_run(option: str) -> None:
    """The options of `run` that name files take such lists."""
    params = parse(f"--{option}", os.pathsep.join(["*.yml", "b"]))
    assert params[option.replace("-", "_")] == ["*.yml", "b"]


@pytest.mark.parametrize("text, number", [("660", 0o660), ("0600", 0o600), ("0o777", 0o777), ("0", 0)])
def test_octal(text: str, number: int) -> None:
    """Permissions are read in base eight, as `chmod` reads them."""
    assert OctalType().convert(text, None, None) == number


def test_octal_number_stays() -> None:
    """A number, as a default is, is not read again."""
    assert OctalType().convert(0o660, None, None) == 0o660


@pytest.mark.parametrize("text", ["rw", "888", "1000", "-1", "", "0x10"])
def test_not_octal(text: str) -> None:
    """What is no octal number, or has bits beyond the nine, is refused with an example."""
    with pytest.raises(click.BadParameter, match="is not octal permissions such as 660"):
        OctalType().convert(text, None, None)
