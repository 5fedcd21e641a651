"""Flask-Talisman's class, options and constants; the extension's own tests are in the conformance suite."""

from __future__ import annotations

import inspect
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from quaff import Quaff
from quaff.compat.aliases import real_name
from quaff.ext.security import talisman
from quaff.ext.security.problems import SecurityOptionError
from quaff.ext.security.settings import OPTIONS
from quaff.ext.security.talisman import Talisman
from tests.ext.security.apps import HTTP, HTTPS, WAYS, Ask, make_app
from tests.ext.security.test_settings import UPSTREAM

Way = tuple[Quaff, Ask]


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest) -> Way:
    """Give an app with views of every kind, and how to ask it."""
    options, ask = WAYS[request.param]
    return make_app(**options), ask


@pytest.fixture(params=[True, False], ids=["compiled", "reference"])
def app(request: pytest.FixtureRequest) -> Quaff:
    """Give an app with views of every kind, in either pipeline."""
    return make_app(compiled=request.param)


def get(app: Quaff, path: str = "/text", base_url: str = HTTPS, **options: Any) -> Any:
    """Send a request."""
    return app.test_client().get(path, base_url=base_url, **options)


def test_the_aliases() -> None:
    """`flask_talisman` and the module in it are this module."""
    assert real_name("flask_talisman") == real_name("flask_talisman.talisman") == talisman.__name__


def test_imports_of_existing_programs(tmp_path: Path) -> None:
    """Every way to import from the package and from the module in it gives the battery."""
    program = tmp_path / "program.py"
    program.write_text(
        "import flask_talisman, flask_talisman.talisman as module\n"
        "from flask_talisman import DENY, GOOGLE_CSP_POLICY, Talisman, talisman\n"
        "from flask_talisman.talisman import ONE_YEAR_IN_SECS\n"
        "from flask_sslify import SSLify, YEAR_IN_SECS\n"
        "print(module is flask_talisman is talisman, Talisman.__module__, SSLify.__module__)\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "quaff", "program.py"], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["True", "quaff.ext.security.talisman", "quaff.ext.security.sslify"]


@pytest.mark.parametrize(
    "name, value",
    [
        ("DENY", "DENY"),
        ("SAMEORIGIN", "SAMEORIGIN"),
        ("ALLOW_FROM", "ALLOW-FROM"),
        ("ONE_YEAR_IN_SECS", 31556926),
        ("NONCE_LENGTH", 32),
        ("DEFAULT_REFERRER_POLICY", "strict-origin-when-cross-origin"),
        ("DEFAULT_SESSION_COOKIE_SAMESITE", "Lax"),
        ("DEFAULT_CSP_POLICY", {"default-src": "'self'", "object-src": "'none'"}),
        ("DEFAULT_PERMISSIONS_POLICY", {"browsing-topics": "()"}),
        ("DEFAULT_DOCUMENT_POLICY", {}),
        ("DEFAULT_FEATURE_POLICY", {}),
    ],
)
def test_constants(name: str, value: Any) -> None:
    """The extension's constants are there under their names."""
    assert getattr(talisman, name) == value


def test_googles_policy(app: Quaff) -> None:
    """The extension's other policy is one that browsers understand in all its parts."""
    Talisman(app, content_security_policy=talisman.GOOGLE_CSP_POLICY).strict = True  # type: ignore[misc]  # for this test
    assert "frame-src 'self' www.google.com www.youtube.com" in get(app).headers["Content-Security-Policy"]


def test_the_headers(way: Way) -> None:
    """By default these headers are sent, and no others."""
    app, ask = way
    Talisman(app)
    headers = {name.title(): value for name, value in ask(app, "/text").headers}
    assert headers == {
        "Content-Type": "text/html; charset=utf-8",
        "Content-Length": "4",
        "Content-Security-Policy": "default-src 'self'; object-src 'none'",
        "Permissions-Policy": "browsing-topics=()",
        "Referrer-Policy": "strict-origin-when-cross-origin",
        "Strict-Transport-Security": "max-age=31556926; includeSubDomains",
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "SAMEORIGIN",
    }


@pytest.mark.parametrize("permanent, code", [(False, 302), (True, 301)])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_the_redirect(way: Way, method: str, permanent: bool, code: int) -> None:
    """The codes of the redirect are the extension's, for each method."""
    app, ask = way
    Talisman(app, force_https_permanent=permanent)
    response = ask(app, "/text", base_url=HTTP, method=method)
    assert (response.status_code, response.headers["Location"]) == (code, "https://localhost/text")
    assert "Strict-Transport-Security" not in response.headers


def test_the_clients_word(way: Way) -> None:
    """SECURITY, lab T8: code that was written for the extension does not believe a client's X-Forwarded-Proto either."""
    app, ask = way
    Talisman(app)
    headers = {"X-Forwarded-Proto": "https"}
    assert ask(app, "/text", base_url=HTTP, headers=headers).status_code == 302
    app.config["COMPAT"] = ("trust-forwarded-proto",)
    response = ask(app, "/text", base_url=HTTP, headers=headers)
    assert response.status_code == 200
    assert "Strict-Transport-Security" in response.headers
    assert ask(app, "/text", base_url=HTTP).status_code == 302


def test_options_by_position(app: Quaff) -> None:
    """COMPAT: the extension's options have an order, and may be given by it."""
    assert Talisman._positional == tuple(UPSTREAM)
    Talisman(app, {"geolocation": "'none'"}, {"camera": "()"}, {}, False)
    headers = get(app, base_url=HTTP).headers
    assert headers["Feature-Policy"] == "geolocation 'none'"
    assert headers["Permissions-Policy"] == "camera=()"
    with pytest.raises(TypeError):
        Talisman(app, *range(23))


@pytest.mark.parametrize("name", UPSTREAM)
def test_options_are_attributes(app: Quaff, name: str) -> None:
    """Each option can be read where the extension has it, and changed there while the app is served."""
    made = Talisman(app)
    value = getattr(made, name)
    assert (value or None) == (UPSTREAM[name] or None)
    get(app)
    setattr(made, name, value)
    assert get(app).status_code == 200


def test_other_attributes_are_plain(app: Quaff) -> None:
    """An attribute of another name is the user's own."""
    made = Talisman(app)
    made.force_ssl = False
    assert made.force_ssl is False
    assert made.app is app
    assert Talisman().app is None


def test_the_defaults_are_nobodys(app: Quaff) -> None:
    """A policy that is changed in place changes no constant, and no other app's policy."""
    given = {"default-src": "'self'"}
    Talisman(app).content_security_policy["img-src"] = "*"
    Talisman(make_app(), content_security_policy=given).content_security_policy["img-src"] = "*"
    assert talisman.DEFAULT_CSP_POLICY == {"default-src": "'self'", "object-src": "'none'"}
    assert given == {"default-src": "'self'"}
    other = make_app()
    Talisman(other)
    assert "img-src" in get(app).headers["Content-Security-Policy"]
    assert "img-src" not in get(other).headers["Content-Security-Policy"]


def test_configuration(app: Quaff) -> None:
    """Users ask for options in the environment: each has a key."""
    Talisman(app)
    app.config.from_mapping(
        TALISMAN_FORCE_HTTPS="false",
        TALISMAN_CONTENT_SECURITY_POLICY="default-src 'self'; script-src 'self'",
        TALISMAN_CONTENT_SECURITY_POLICY_NONCE_IN="script-src",
        TALISMAN_ENABLED=True,
    )
    response = get(app, "/page", base_url=HTTP)
    nonce = response.text.partition("=")[2][:-1]
    assert response.headers["Content-Security-Policy"] == f"default-src 'self'; script-src 'self' 'nonce-{nonce}'"


def test_every_option_has_a_key(app: Quaff) -> None:
    """All options are read from the configuration, Quaff's own as well."""
    app.config.update({f"TALISMAN_{name.upper()}": getattr(Talisman(), name) for name in OPTIONS})
    Talisman(app)
    assert get(app).headers["X-Frame-Options"] == "SAMEORIGIN"


def test_the_decorator_notes_its_options(app: Quaff) -> None:
    """COMPAT: a view's options are also in `talisman_view_options`, and found there whoever has put them there."""
    made = Talisman(app)

    @app.get("/a")
    @made(frame_options="DENY")
    def a() -> str:
        return "a"

    def b() -> str:
        return "b"

    b.talisman_view_options = {"frame_options": "DENY"}  # type: ignore[attr-defined]  # as old code does
    app.add_url_rule("/b", "b", b)
    assert a.talisman_view_options == {"frame_options": "DENY"}  # type: ignore[attr-defined]  # noted there
    for path in ("/a", "/b"):
        assert get(app, path).headers["X-Frame-Options"] == "DENY"
    assert a.talisman_view_options == {"frame_options": "DENY"}  # type: ignore[attr-defined]  # and not changed


def test_problems_are_warnings(app: Quaff, caplog: pytest.LogCaptureFixture) -> None:
    """A policy that was written for the extension goes on working; what browsers ignore of it is logged once."""
    Talisman(
        app,
        content_security_policy={"image-src": "*", "script-src": "self"},
        content_security_policy_nonce_in=["x-src"],
    )
    for path in ("/text", "/json", "/text", "/missing"):
        assert "image-src *" in get(app, path).headers["Content-Security-Policy"]
    assert [record.getMessage() for record in caplog.records] == [
        "Talisman: Content-Security-Policy: no browser knows the directive 'image-src'; did you mean 'img-src'?",
        (
            "Talisman: Content-Security-Policy: script-src self: without single quotes this is the name of a host;"
            " write \"'self'\"."
        ),
        "Talisman: content_security_policy_nonce_in names 'x-src', which the policy does not have; add it to the policy.",
    ]


def test_what_cannot_be_sent_is_an_error(app: Quaff) -> None:
    """SECURITY: what would end the header or begin another directive is refused under this name, too."""
    with pytest.raises(SecurityOptionError):
        Talisman(app, content_security_policy={"img-src": "*; script-src *"})


def test_report_only_needs_a_place(app: Quaff) -> None:
    """COMPAT: the extension raises ValueError as well."""
    with pytest.raises(ValueError, match="content_security_policy_report_uri"):
        Talisman(app, content_security_policy_report_only=True)


def test_reports_have_the_old_form_only(app: Quaff) -> None:
    """COMPAT: who receives reports today gets them in the same format as before, unless the new one is asked for."""
    made = Talisman(app, content_security_policy_report_uri="https://r.example/")
    assert "Reporting-Endpoints" not in get(app).headers
    made.content_security_policy_report_to = True
    assert get(app).headers["Reporting-Endpoints"] == 'csp-endpoint="https://r.example/"'


def test_the_session_cookie(app: Quaff) -> None:
    """The session cookie gets all three flags from the first request on."""
    Talisman(app)
    get(app)
    keys = ("SESSION_COOKIE_SECURE", "SESSION_COOKIE_HTTPONLY", "SESSION_COOKIE_SAMESITE")
    assert [app.config[key] for key in keys] == [True, True, "Lax"]


def test_two_objects(app: Quaff) -> None:
    """Of two objects on one app the first one's headers count, and no header is sent twice."""
    Talisman(app, frame_options="DENY")
    Talisman(app, frame_options="SAMEORIGIN", cross_origin_embedder_policy="require-corp")
    headers = get(app).headers
    assert headers.getlist("X-Frame-Options") == ["DENY"]
    assert headers.getlist("Content-Security-Policy") == ["default-src 'self'; object-src 'none'"]
    assert headers["Cross-Origin-Embedder-Policy"] == "require-corp"


def test_the_names_that_the_extension_exports() -> None:
    """`from flask_talisman import *` gives the names of the extension."""
    assert all(hasattr(talisman, name) for name in talisman.__all__)
    assert inspect.isclass(talisman.Talisman)
