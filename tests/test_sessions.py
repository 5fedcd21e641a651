"""Sessions in signed cookies: Flask's own cookies are the oracle. The signer has a file of its own beside this one."""

from __future__ import annotations

import hashlib
import time
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from itsdangerous import TimestampSigner, URLSafeTimedSerializer
from markupsafe import Markup

from quaff import Quaff, session, sessions
from quaff.sessions import (
    CLOCK_TOLERANCE,
    NullSession,
    SecureCookieSession,
    SecureCookieSessionInterface,
    SessionInterface,
    SessionMixin,
    session_json_serializer,
)

NOW = 1_700_000_000
KEY = "key"
# What Flask 3.1.3 sends at NOW for KEY and the session {"a": 1}.
PLAIN = "eyJhIjoxfQ.ZVPxAA.2RpH9qOjHTwaRHh9Patu_Omx8X4"
# The same for {"a": 1, "_permanent": True}; it answers with the keys in the order in which it read them.
PERMANENT = "eyJhIjoxLCJfcGVybWFuZW50Ijp0cnVlfQ.ZVPxAA.UnrUhAVcVtLlv_EDAJgHj_IBKT4"
REFRESHED = "session=eyJfcGVybWFuZW50Ijp0cnVlLCJhIjoxfQ.ZVPxAA.OROODK23fE03Wku5CokQ9t-ya0E"
ONLY_PERMANENT = "session=eyJfcGVybWFuZW50Ijp0cnVlfQ.ZVPxAA.Okgm-4XoqTJ-noCf7-BT1qbZFSE"
ONE_MONTH_LATER = "Expires=Fri, 15 Dec 2023 22:13:20 GMT"
DELETED = "Expires=Thu, 01 Jan 1970 00:00:00 GMT; Max-Age=0"


class Clock:
    """Stands in for the `time` and `datetime` that sessions use, and can be moved."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = float(NOW)
        clock = self

        class Moved(datetime):
            @classmethod
            def now(cls, tz: Any = None) -> datetime:
                return datetime.fromtimestamp(clock.now, tz)

        monkeypatch.setattr(time, "time", lambda: clock.now)
        monkeypatch.setattr(sessions, "datetime", Moved)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Give a clock that stands at NOW."""
    return Clock(monkeypatch)


@pytest.fixture(params=[True, False], ids=["compiled", "reference"])
def app(request: pytest.FixtureRequest) -> Quaff:
    """Give an app of each pipeline with views that use the session in different ways."""
    return make_app(request.param)


def make_app(compiled: bool = True) -> Quaff:
    """Return an app with a secret key and views that use the session in different ways."""
    app = Quaff("shop", compiled=compiled)
    app.config.update(TESTING=True, SECRET_KEY=KEY)

    @app.get("/<action>")
    def act(action: str) -> Any:
        if action == "set":
            session["a"] = 1
        elif action == "permanent":
            session.permanent = True
        elif action == "read":
            return dict(session)
        elif action == "pop":
            session.pop("a", None)
        elif action == "clear":
            session.clear()
        elif action == "mutate":
            session["list"].append(1)
        elif action == "big":
            session["b"] = "x" * 1000
        return ""

    return app


def ask(app: Quaff, action: str, cookie: str | None = None) -> Any:
    """Return the answer to a request with the given session cookie."""
    headers = {"Cookie": f"session={cookie}"} if cookie else {}
    return app.test_client(use_cookies=False).get(f"/{action}", headers=headers)


def itsdangerous_for(keys: Any = KEY, salt: str = "cookie-session", **kwargs: Any) -> URLSafeTimedSerializer:
    """Return itsdangerous' serializer, set up as Flask documents it."""
    signer = {"key_derivation": "hmac", "digest_method": hashlib.sha1, **kwargs}
    return URLSafeTimedSerializer(keys, salt=salt, serializer=session_json_serializer, signer_kwargs=signer)


# Foreign cookies -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "payload",
    [
        b".bm90IHpsaWI",
        b"not base64!",
        b"",
        b".",
        b"\xff\xfe",
        b"bm90IGpzb24",
        b"eyJhIjo",
        b"WzFd",
        b"bnVsbA",
        b"IngiOg",
        b"MQ",
    ],
)
def test_well_signed_nonsense_is_an_empty_session(app: Quaff, payload: bytes) -> None:
    """A signature over something that is no session, made with our key by another program, opens an empty session."""
    signer = TimestampSigner(KEY, salt="cookie-session", key_derivation="hmac", digest_method=hashlib.sha1)
    cookie = signer.sign(payload).decode("latin1")
    response = ask(app, "read", cookie)
    assert (response.status_code, response.json) == (200, {})


@pytest.mark.parametrize(
    "cookie",
    [
        itsdangerous_for("another key").dumps({"a": 1}),
        itsdangerous_for(salt="another salt").dumps({"a": 1}),
        itsdangerous_for(key_derivation="django-concat").dumps({"a": 1}),
        itsdangerous_for(digest_method=hashlib.sha256).dumps({"a": 1}),
        PLAIN + "x",
        PLAIN[:-5],
        "x",
        ".",
        "..",
        "%00",
    ],
)
def test_foreign_and_tampered_cookies(app: Quaff, cookie: str) -> None:
    """Another key, salt or digest, or a damaged cookie, is an empty session, no error; and it can be used."""
    assert ask(app, "read", cookie).json == {}
    assert "session=" in ask(app, "set", cookie).headers["Set-Cookie"]


# Keys ------------------------------------------------------------------------------------------------------------------


def test_key_rotation(app: Quaff) -> None:
    """Cookies of the fallback keys are read; new ones are signed with the first key only."""
    old, older = itsdangerous_for("old").dumps({"a": 1}), itsdangerous_for("older").dumps({"a": 2})
    assert ask(app, "read", old).json == {}
    app.config["SECRET_KEY_FALLBACKS"] = ["old", "older"]
    assert ask(app, "read", old).json == {"a": 1}
    assert ask(app, "read", older).json == {"a": 2}
    renewed = ask(app, "set", old).headers["Set-Cookie"].partition("=")[2].partition(";")[0]
    assert itsdangerous_for(KEY).loads(renewed) == {"a": 1}
    app.config["SECRET_KEY_FALLBACKS"] = None
    assert ask(app, "read", older).json == {}


@pytest.mark.parametrize("key", ["text", b"bytes", b"\xff\x00", "ключ", "x" * 200])
def test_keys_of_all_kinds(app: Quaff, key: str | bytes) -> None:
    """A key may be text or bytes, short or longer than a hash block."""
    app.secret_key = key
    cookie = ask(app, "set").headers["Set-Cookie"].partition("=")[2].partition(";")[0]
    assert itsdangerous_for(key).loads(cookie) == {"a": 1}
    assert ask(app, "read", itsdangerous_for(key).dumps({"b": 2})).json == {"b": 2}


def test_the_signing_serializer_is_itsdangerous_own(app: Quaff) -> None:
    """COMPAT: programs call `get_signing_serializer` to make and read cookies; it knows the fallback keys too."""
    app.config["SECRET_KEY_FALLBACKS"] = ["old"]
    serializer = SecureCookieSessionInterface().get_signing_serializer(app)
    assert isinstance(serializer, URLSafeTimedSerializer)
    assert serializer.loads(itsdangerous_for("old").dumps({"a": 1})) == {"a": 1}
    assert itsdangerous_for(KEY).loads(serializer.dumps({"a": 1})) == {"a": 1}
    app.secret_key = None
    assert SecureCookieSessionInterface().get_signing_serializer(app) is None


class Sha256Interface(SecureCookieSessionInterface):
    """Changes the digest, so that itsdangerous itself has to be used."""

    digest_method = staticmethod(hashlib.sha256)


class DerivedInterface(SecureCookieSessionInterface):
    """Changes the key derivation."""

    key_derivation = "django-concat"


class SaltedInterface(SecureCookieSessionInterface):
    """Changes the salt."""

    salt = "my salt"


class OwnSerializerInterface(SecureCookieSessionInterface):
    """Overrides the serializer as a whole."""

    def get_signing_serializer(self, app: Any) -> URLSafeTimedSerializer | None:
        """Sign with a key of its own."""
        return itsdangerous_for("own key")


@pytest.mark.parametrize(
    "interface, oracle",
    [
        (Sha256Interface(), itsdangerous_for(digest_method=hashlib.sha256)),
        (DerivedInterface(), itsdangerous_for(key_derivation="django-concat")),
        (SaltedInterface(), itsdangerous_for(salt="my salt")),
        (OwnSerializerInterface(), itsdangerous_for("own key")),
    ],
    ids=["digest", "derivation", "salt", "serializer"],
)
def test_subclasses_change_the_format(app: Quaff, interface: SecureCookieSessionInterface, oracle: Any) -> None:
    """Each of Flask's class attributes has its effect on reading and writing, and tampering is still refused."""
    app.session_interface = interface
    cookie = ask(app, "set").headers["Set-Cookie"].partition("=")[2].partition(";")[0]
    assert oracle.loads(cookie) == {"a": 1}
    assert ask(app, "read", oracle.dumps({"b": 2})).json == {"b": 2}
    assert ask(app, "read", PLAIN).json == {}
    assert ask(app, "read", oracle.dumps({"b": 2}) + "x").json == {}


# Time ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("interface", [SecureCookieSessionInterface(), Sha256Interface()], ids=["own", "itsdangerous"])
@pytest.mark.parametrize(
    "moved, readable",
    [(0, True), (-1, True), (-59, True), (-60, True), (-61, False), (-3600, False), (3600, True), (3601, False)],
)
def test_the_clock(
    app: Quaff, clock: Clock, interface: SecureCookieSessionInterface, moved: int, readable: bool
) -> None:
    """A cookie is good for the session's lifetime, and up to a minute before it was made; so a clock may be set back."""
    app.session_interface = interface
    app.permanent_session_lifetime = timedelta(hours=1)
    cookie = ask(app, "set").headers["Set-Cookie"].partition("=")[2].partition(";")[0]
    clock.now += moved
    assert ask(app, "read", cookie).json == ({"a": 1} if readable else {})


def test_the_tolerance_is_a_minute() -> None:
    """The number that the documentation gives."""
    assert CLOCK_TOLERANCE == 60


# The cookie's attributes -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "config, action, expected",
    [
        ({}, "set", f"session={PLAIN}; HttpOnly; Path=/"),
        ({}, "permanent", f"{ONLY_PERMANENT}; {ONE_MONTH_LATER}; HttpOnly; Path=/"),
        (
            {
                "SESSION_COOKIE_NAME": "sid",
                "SESSION_COOKIE_DOMAIN": "shop.example",
                "SESSION_COOKIE_PATH": "/p",
                "SESSION_COOKIE_HTTPONLY": False,
                "SESSION_COOKIE_SECURE": True,
                "SESSION_COOKIE_SAMESITE": "Lax",
                "SESSION_COOKIE_PARTITIONED": True,
            },
            "set",
            f"sid={PLAIN}; Domain=shop.example; Secure; Path=/p; SameSite=Lax; Partitioned",
        ),
        ({"SESSION_COOKIE_SAMESITE": "Strict"}, "set", f"session={PLAIN}; HttpOnly; Path=/; SameSite=Strict"),
        ({"APPLICATION_ROOT": "/root"}, "set", f"session={PLAIN}; HttpOnly; Path=/root"),
        (
            {},
            "big",
            "session=.eJyrVkpSslKqGAWjYBQMe6BUCwAvJdbs.ZVPxAA.aATlp--1tdut_OhBDY9FBJj2uL8; HttpOnly; Path=/",
        ),
        (
            {"PERMANENT_SESSION_LIFETIME": 60},
            "permanent",
            f"{ONLY_PERMANENT}; Expires=Tue, 14 Nov 2023 22:14:20 GMT; HttpOnly; Path=/",
        ),
    ],
)
def test_a_new_cookie(app: Quaff, clock: Clock, config: dict[str, Any], action: str, expected: str) -> None:
    """The header is, letter for letter, what Flask 3.1.3 sends, and the answer varies on the cookie."""
    app.config.update(config)
    response = ask(app, action)
    assert response.headers.getlist("Set-Cookie") == [expected]
    assert response.headers.getlist("Vary") == ["Cookie"]


@pytest.mark.parametrize(
    "cookie, config, action, expected, varies",
    [
        (None, {}, "nothing", None, False),
        (None, {}, "read", None, True),
        (None, {}, "clear", f"session=; {DELETED}; HttpOnly; Path=/", True),
        (PLAIN, {}, "nothing", None, False),
        (PLAIN, {}, "read", None, True),
        (PLAIN, {}, "pop", f"session=; {DELETED}; HttpOnly; Path=/", True),
        (PERMANENT, {}, "nothing", f"{REFRESHED}; {ONE_MONTH_LATER}; HttpOnly; Path=/", True),
        (PERMANENT, {"SESSION_REFRESH_EACH_REQUEST": False}, "nothing", None, False),
        (PERMANENT, {"SESSION_REFRESH_EACH_REQUEST": False}, "read", None, True),
        (PERMANENT, {}, "pop", f"{ONLY_PERMANENT}; {ONE_MONTH_LATER}; HttpOnly; Path=/", True),
        (
            PERMANENT,
            {
                "SESSION_COOKIE_DOMAIN": "localhost",
                "SESSION_COOKIE_PATH": "/p",
                "SESSION_COOKIE_SECURE": True,
                "SESSION_COOKIE_SAMESITE": "None",
                "SESSION_COOKIE_PARTITIONED": True,
            },
            "clear",
            f"session=; Domain=localhost; {DELETED}; Secure; HttpOnly; Path=/p; SameSite=None; Partitioned",
            True,
        ),
    ],
)
def test_an_existing_cookie(
    app: Quaff,
    clock: Clock,
    cookie: str | None,
    config: dict[str, Any],
    action: str,
    expected: str | None,
    varies: bool,
) -> None:
    """When the cookie is sent again, deleted or left alone, and whether the answer varies on it, is as in Flask 3.1.3."""
    app.config.update(config)
    response = ask(app, action, cookie)
    assert response.headers.getlist("Set-Cookie") == ([] if expected is None else [expected])
    assert response.headers.getlist("Vary") == (["Cookie"] if varies else [])


def test_a_permanent_session_of_a_404_is_refreshed(app: Quaff, clock: Clock) -> None:
    """The refresh does not depend on a view: a request that matches nothing refreshes too."""
    response = app.test_client(use_cookies=False).get("/not/there", headers={"Cookie": f"session={PERMANENT}"})
    assert response.status_code == 404
    assert response.headers["Set-Cookie"].startswith(REFRESHED)


def test_a_tampered_permanent_cookie_is_not_refreshed(app: Quaff) -> None:
    """A forged payload that says it is permanent gets nothing."""
    response = ask(app, "nothing", PERMANENT[:-3] + "AAA")
    assert "Set-Cookie" not in response.headers


def test_vary_is_added_to_what_is_there(app: Quaff) -> None:
    """A Vary header of the view keeps its values and gets Cookie once."""
    app.after_request(lambda response: response.headers.set("Vary", "Accept-Encoding, Cookie") or response)
    assert ask(app, "set").headers.getlist("Vary") == ["Accept-Encoding, Cookie"]


def test_vary_beside_another_value(app: Quaff) -> None:
    """Cookie joins what the view put into Vary."""
    app.after_request(lambda response: response.vary.add("Accept") or response)
    assert set(ask(app, "set").vary) == {"Accept", "Cookie"}


def test_changes_inside_a_value_are_not_seen(app: Quaff) -> None:
    """As in Flask a changed list inside the session is saved only when `modified` is set."""
    cookie = itsdangerous_for().dumps({"list": []})
    assert "Set-Cookie" not in ask(app, "mutate", cookie).headers


def test_a_round_trip_with_a_client(app: Quaff) -> None:
    """A browser keeps its session over requests until it is cleared."""
    client = app.test_client()
    client.get("/set")
    assert client.get("/read").json == {"a": 1}
    client.get("/clear")
    assert client.get("/read").json == {}
    assert client.get_cookie("session") is None


# Without a key ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", [None, "", b""])
def test_without_a_key_the_session_is_null(app: Quaff, key: Any) -> None:
    """Reading gives an empty session; writing explains what is missing; no cookie is sent."""
    app.secret_key = key
    response = ask(app, "read", PLAIN)
    assert response.json == {}
    assert "Set-Cookie" not in response.headers
    with pytest.raises(RuntimeError, match="The session is unavailable because no secret key was set"):
        ask(app, "set")


@pytest.mark.parametrize(
    "write",
    [
        lambda session: session.__setitem__("a", 1),
        lambda session: session.__delitem__("a"),
        lambda session: session.clear(),
        lambda session: session.pop("a"),
        lambda session: session.popitem(),
        lambda session: session.update(a=1),
        lambda session: session.setdefault("a", 1),
        lambda session: setattr(session, "permanent", True),
    ],
)
def test_a_null_session_cannot_be_written(write: Any) -> None:
    """Each way to write raises the explanation."""
    with pytest.raises(RuntimeError, match="Set the secret_key on the application to something unique and secret"):
        write(NullSession())


def test_null_sessions_are_known_and_never_saved() -> None:
    """An interface makes and recognizes them; a cookie session is none."""
    interface = SessionInterface()
    assert interface.is_null_session(interface.make_null_session(make_app()))
    assert not interface.is_null_session(SecureCookieSession())
    assert not interface.pickle_based


@pytest.mark.parametrize("interface", [SecureCookieSessionInterface(), Sha256Interface()], ids=["own", "itsdangerous"])
def test_the_key_may_go_away_before_saving(interface: SecureCookieSessionInterface) -> None:
    """A key that is taken away during a request is an error that says so, whichever signer is used."""
    app, session = make_app(), SecureCookieSession()
    session["a"] = 1
    app.secret_key = None
    with pytest.raises(RuntimeError, match="no secret_key any more"):
        interface.save_session(app, session, app.response_class())


# The classes -----------------------------------------------------------------------------------------------------------


def test_a_cookie_session_notices_changes() -> None:
    """Each way to write marks the session as modified; reading does not, and `accessed` is the context's business."""
    for write in (
        lambda s: s.__setitem__("b", 1),
        lambda s: s.__delitem__("a"),
        lambda s: s.clear(),
        lambda s: s.pop("a"),
        lambda s: s.popitem(),
        lambda s: s.update(b=1),
        lambda s: s.setdefault("b", 1),
        lambda s: setattr(s, "permanent", True),
    ):
        session = SecureCookieSession({"a": 1})
        assert not session.modified
        assert session.get("a") == session["a"] == 1
        assert not session.modified
        write(session)
        assert session.modified
        assert not session.accessed


def test_permanent_is_a_key() -> None:
    """`permanent` reads and writes the key `_permanent`, as a bool."""
    session = SecureCookieSession()
    assert session.permanent is False
    session.permanent = 1  # type: ignore[assignment]
    assert dict(session) == {"_permanent": True}
    assert session.permanent is True


def test_defaults_of_the_mixin() -> None:
    """A session of a user's own class is, unless it says otherwise, not new, modified and not accessed."""

    class Own(dict[str, Any], SessionMixin):
        pass

    own = Own()
    assert (own.new, own.modified, own.accessed, own.permanent) == (False, True, False, False)


def test_the_interface_reads_the_config() -> None:
    """Each getter returns its config value; the path falls back to APPLICATION_ROOT."""
    app, interface = make_app(), SessionInterface()
    assert interface.get_cookie_name(app) == "session"
    assert interface.get_cookie_domain(app) is None
    assert interface.get_cookie_path(app) == "/"
    assert interface.get_cookie_httponly(app) is True
    assert interface.get_cookie_secure(app) is False
    assert interface.get_cookie_samesite(app) is None
    assert interface.get_cookie_partitioned(app) is False
    app.config.update(APPLICATION_ROOT="/root")
    assert interface.get_cookie_path(app) == "/root"


def test_expiration_and_refresh(clock: Clock) -> None:
    """Only permanent sessions expire at a date, and only modified or refreshed ones are sent."""
    app, interface = make_app(), SessionInterface()
    plain, permanent = SecureCookieSession(), SecureCookieSession({"_permanent": True})
    assert interface.get_expiration_time(app, plain) is None
    assert interface.get_expiration_time(app, permanent) == datetime.fromtimestamp(NOW, UTC) + timedelta(days=31)
    assert interface.should_set_cookie(app, permanent)
    assert not interface.should_set_cookie(app, plain)
    plain["a"] = 1
    assert interface.should_set_cookie(app, plain)


def test_an_interface_has_to_say_how() -> None:
    """The base class opens and saves nothing."""
    with pytest.raises(NotImplementedError):
        SessionInterface().open_session(make_app(), None)  # type: ignore[arg-type]
    with pytest.raises(NotImplementedError):
        SessionInterface().save_session(make_app(), SecureCookieSession(), None)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "cookie, expected",
    [(PLAIN, False), (PERMANENT, True), (".eJyrVkpS", True), ("", False), ("!!", False), ("ключ", False), ("a", False)],
)
def test_what_may_be_permanent(cookie: str, expected: bool) -> None:
    """The look into an unchecked payload errs on the side of "maybe" and never raises."""
    assert SecureCookieSessionInterface().may_be_permanent(cookie) is expected


def test_rich_values_survive(app: Quaff) -> None:
    """Tuples, bytes, UUIDs, dates and Markup come back as what they were, through a real request."""
    rich = {
        "t": (1, 2),
        "b": b"\x00",
        "u": uuid.UUID(int=5),
        "m": Markup("<b>"),
        "d": datetime(2024, 5, 6, tzinfo=UTC),
    }
    client = app.test_client()
    with client.session_transaction() as session:
        session.update(rich)
    with client.session_transaction() as session:
        assert dict(session) == rich
        assert {name: type(value) for name, value in session.items()} == {
            name: type(value) for name, value in rich.items()
        }
