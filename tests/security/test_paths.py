"""No path leads out of a folder that is served: `send_from_directory` and the static route."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from quaff import Quaff, send_from_directory

if TYPE_CHECKING:
    from quaff.testing import FlaskClient

STEPS = [
    "..",
    "%2e%2e",
    "%2E.",
    ".%2e",
    "%252e%252e",
    "..;",
    "..;a=b",
    "....",
    "...",
    ". .",
    ".. ",
    "%20..",
    "..%20",
    "..%09",
    "..%0a",
    "..%c0%80",
    "%c0%ae%c0%ae",
    "%e0%80%ae%e0%80%ae",
    "%uff0e%uff0e",
    "%ef%bc%8e%ef%bc%8e",
    "..%ef%bc%8f",
]
"""Ways to write a step upwards, or to make one out of what a filter leaves."""

SEPARATORS = ["/", "%2f", "%2F", "%5c", "\\", "%252f", "//", "/./", "%c0%af", "/%2f"]

ABSOLUTE = [
    "//etc/passwd",
    "%2fetc%2fpasswd",
    "/%2fetc/passwd",
    "%2f%2fetc/passwd",
    "file:///etc/passwd",
    "file:%2f%2f%2fetc%2fpasswd",
    "C:/secret.txt",
    "C:%5csecret.txt",
    "C:secret.txt",
    "%5c%5chost%5cshare%5csecret.txt",
    "%5c%5c?%5cC:%5csecret.txt",
    "~/secret.txt",
    "~root/.bashrc",
    "$HOME/secret.txt",
    "%25HOME%25/secret.txt",
]

NAMES = [
    "CON",
    "NUL",
    "nul.txt",
    "COM1",
    "a/NUL",
    "good.txt::$DATA",
    "good.txt:stream",
    "good.txt.",
    "good.txt ",
    "good.txt/..",
    "good.txt/../../secret.txt",
    "good.txt%2f..%2f..%2fsecret.txt",
    "folder",
    "folder/",
    "",
    ".",
    "./",
    "x" * 255,
    "x" * 4096,
    "x/" * 2000,
    "../" * 500 + "etc/passwd",
    "*",
    "?",
    "%3f",
    "good%2etxt%0a",
    "go%CC%8Cod.txt",
    "GOOD.TXT",
]

PACK = sorted(
    {f"{step}{separator}secret.txt" for step in STEPS for separator in SEPARATORS}
    | {
        f"folder{separator}{step}{separator}{step}{separator}secret.txt"
        for step in STEPS[:6]
        for separator in SEPARATORS
    }
    | {f"..{separator}files-secret{separator}secret.txt" for separator in SEPARATORS}
    | set(ABSOLUTE)
    | set(NAMES)
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Give a folder to serve, with secrets beside it: one above, one in a folder whose name begins alike."""
    for name in ("files/good.txt", "files/folder/inner.txt", "files/.hidden", "secret.txt", "files-secret/secret.txt"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("TOP SECRET" if "secret" in name else "good")
    return tmp_path / "files"


@pytest.fixture(params=[True, False], ids=["compiled", "reference"])
def app(request: pytest.FixtureRequest, folder: Path) -> Quaff:
    """Give an app that serves the folder in both ways."""
    app = Quaff(
        "tests.security",
        root_path=str(folder.parent),
        static_folder=folder,
        static_url_path="/static",
        compiled=request.param,
    )

    @app.get("/files/<path:name>")
    def files(name: str) -> Any:
        return send_from_directory(folder, name)

    @app.get("/name")
    def by_query() -> Any:
        from quaff import request

        return send_from_directory("files", request.args["name"])

    return app


def check_missing(response: Any) -> None:
    """Hold that the answer is the 404 that any missing file gets, or the 400 of a NUL."""
    assert response.status_code == 404, response.status
    assert b"SECRET" not in response.data
    assert b"The requested URL was not found on the server" in response.data


@pytest.mark.parametrize("path", PACK, ids=lambda path: ascii(path[:40]))
def test_no_path_leads_out(client: FlaskClient, path: str) -> None:
    """Every way to write a path out gets the same 404, whether or not something lies there."""
    for prefix in ("/files/", "/static/"):
        check_missing(client.get(prefix + path, follow_redirects=True))
    check_missing(client.get("/name", query_string=f"name={path}".replace("?", "%3f")))


@pytest.mark.parametrize("path", ["..%00/secret.txt", "%00", "good.txt%00", "good.txt%00.jpg", "..%00%2fsecret.txt"])
def test_nul_in_a_path_is_refused(client: FlaskClient, path: str) -> None:
    """A 400 in the URL's path; as a value from elsewhere, a missing file."""
    for prefix in ("/files/", "/static/"):
        assert client.get(prefix + path).status_code == 400
    check_missing(client.get(f"/name?name={path}"))


def test_the_static_route_takes_no_other_method(client: FlaskClient) -> None:
    """Only GET, HEAD and OPTIONS."""
    for method in ("POST", "PUT", "DELETE", "PATCH", "TRACE"):
        assert client.open("/static/good.txt", method=method).status_code == 405


@pytest.mark.parametrize("path", ["good.txt", "folder/inner.txt", "folder/../good.txt", "./good.txt", "good%2etxt"])
def test_files_inside_are_served(client: FlaskClient, path: str) -> None:
    """The pack above fails for the right reason: what lies inside is found."""
    for prefix in ("/files/", "/static/", "/name?name="):
        with client.get(prefix + path) as response:
            assert (response.status_code, response.data) == (200, b"good")
