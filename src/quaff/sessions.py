"""Sessions: the interface that Flask defines, and the signed cookie that is its default.

The cookie is itsdangerous' `URLSafeTimedSerializer` format with Flask's salt and key derivation, so sessions survive the
switch between Flask and Quaff in both directions. `CookieSigner` writes and reads that format in about a fifth of the
time; itsdangerous itself is used when an interface changes the derivation, the digest or the serializer, and is the oracle
in `tests/test_sessions.py`.
"""

from __future__ import annotations

import binascii
import hashlib
import hmac
import time
import zlib
from collections.abc import Mapping, MutableMapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, NoReturn

from werkzeug.datastructures import CallbackDict

from .json.tag import TaggedJSONSerializer

if TYPE_CHECKING:
    from itsdangerous import URLSafeTimedSerializer

    from .wrappers import Request, Response

CLOCK_TOLERANCE: Final = 60
"""Seconds that a cookie may seem to come from the future. A clock that is stepped back must not log everybody out."""

_COMPRESS_FROM: Final = 256
"""Payloads below this many bytes are not compressed: it costs more time than all the rest of signing."""


class SessionMixin(MutableMapping[str, Any]):
    """What a session has beyond a mapping."""

    @property
    def permanent(self) -> bool:
        """Whether the cookie outlives the browser, for `PERMANENT_SESSION_LIFETIME`."""
        return bool(self.get("_permanent", False))

    @permanent.setter
    def permanent(self, value: bool) -> None:
        self["_permanent"] = bool(value)

    new = False
    """Whether the session did not exist before this request. The cookie session never says so."""

    modified = True
    """Whether the session has to be saved. Interfaces that cannot tell leave it true."""

    accessed = False
    """Whether the request looked at the session; the answer then gets `Vary: Cookie`. Set by the request context."""


def _mark_modified(session: Any) -> None:
    session.modified = True


class SecureCookieSession(CallbackDict[str, Any], SessionMixin):
    """A session that lives in a signed cookie; notices changes of its own keys, not of mutable values inside."""

    modified = False

    def __init__(self, initial: Mapping[str, Any] | None = None) -> None:
        super().__init__(initial, _mark_modified)


class NullSession(SecureCookieSession):
    """What stands in for the session when no secret key is set: readable, always empty, and explains itself on writing."""

    def _fail(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise RuntimeError(
            "The session is unavailable because no secret "
            "key was set.  Set the secret_key on the "
            "application to something unique and secret."
        )

    __setitem__ = __delitem__ = clear = pop = popitem = update = setdefault = _fail
    del _fail


class SessionInterface:
    """How sessions are opened and saved. Subclass it, implement both methods, and set `app.session_interface`."""

    null_session_class: type[Any] = NullSession
    """What `make_null_session` makes, and `is_null_session` looks for."""

    pickle_based = False
    """Whether the stored form is pickled. COMPAT: read by extensions."""

    def make_null_session(self, app: Any) -> Any:
        """Return the stand-in for a session that could not be opened for want of configuration."""
        return self.null_session_class()

    def is_null_session(self, obj: object) -> bool:
        """Tell whether *obj* is such a stand-in; those are never saved."""
        if type(obj) is SecureCookieSession and self.null_session_class is NullSession:
            # PERF: the class is an abstract one, for which `isinstance` asks twice as long as all of this.
            return False
        return isinstance(obj, self.null_session_class)

    def get_cookie_name(self, app: Any) -> str:
        """Return the config value `SESSION_COOKIE_NAME`."""
        return app.config["SESSION_COOKIE_NAME"]  # type: ignore[no-any-return]

    def get_cookie_domain(self, app: Any) -> str | None:
        """Return the config value `SESSION_COOKIE_DOMAIN`; None means this host only."""
        return app.config["SESSION_COOKIE_DOMAIN"]  # type: ignore[no-any-return]

    def get_cookie_path(self, app: Any) -> str:
        """Return `SESSION_COOKIE_PATH`, or `APPLICATION_ROOT` when that is not set."""
        return app.config["SESSION_COOKIE_PATH"] or app.config["APPLICATION_ROOT"]  # type: ignore[no-any-return]

    def get_cookie_httponly(self, app: Any) -> bool:
        """Return the config value `SESSION_COOKIE_HTTPONLY`."""
        return app.config["SESSION_COOKIE_HTTPONLY"]  # type: ignore[no-any-return]

    def get_cookie_secure(self, app: Any) -> bool:
        """Return the config value `SESSION_COOKIE_SECURE`."""
        return app.config["SESSION_COOKIE_SECURE"]  # type: ignore[no-any-return]

    def get_cookie_samesite(self, app: Any) -> str | None:
        """Return the config value `SESSION_COOKIE_SAMESITE`."""
        return app.config["SESSION_COOKIE_SAMESITE"]  # type: ignore[no-any-return]

    def get_cookie_partitioned(self, app: Any) -> bool:
        """Return the config value `SESSION_COOKIE_PARTITIONED` (Flask 3.1)."""
        return app.config["SESSION_COOKIE_PARTITIONED"]  # type: ignore[no-any-return]

    def get_expiration_time(self, app: Any, session: SessionMixin) -> datetime | None:
        """Return when a permanent session ends, or None for one that ends with the browser."""
        if session.permanent:
            expires: datetime = datetime.now(UTC) + app.permanent_session_lifetime
            return expires
        return None

    def should_set_cookie(self, app: Any, session: SessionMixin) -> bool:
        """Tell whether the cookie is sent: the session changed, or is permanent and refreshed on each request."""
        return session.modified or (session.permanent and app.config["SESSION_REFRESH_EACH_REQUEST"])

    def open_session(self, app: Any, request: Request) -> SessionMixin | None:
        """Return the session of *request*; None when configuration is missing, which makes it a null session."""
        raise NotImplementedError

    def save_session(self, app: Any, session: SessionMixin, response: Response) -> None:
        """Write the session into *response* or a store. Called for each response unless it is a null session."""
        raise NotImplementedError


session_json_serializer = TaggedJSONSerializer()
"""The serializer of cookie sessions."""


def _lazy_sha1(string: bytes = b"") -> Any:
    # A function, so that a FIPS build of Python without SHA-1 can import this module.
    return hashlib.sha1(string)  # noqa: S324 - in an HMAC; the format of Flask's cookies


class BadCookie(Exception):
    """The cookie was not made with one of our keys, is too old, or is damaged."""


class _Mac:
    """HMAC-SHA1 with one key (RFC 2104): the hash states after the two padded keys are kept, and copied for each message.

    PERF: half of the time of `hmac.digest`, which looks the algorithm up and hashes the padded keys each time.
    """

    __slots__ = ("_inner", "_outer")

    def __init__(self, key: bytes) -> None:
        if len(key) > 64:
            key = _lazy_sha1(key).digest()
        key = key.ljust(64, b"\0")
        self._inner = _lazy_sha1(bytes(byte ^ 0x36 for byte in key))
        self._outer = _lazy_sha1(bytes(byte ^ 0x5C for byte in key))

    def digest(self, message: bytes) -> bytes:
        """Return the code of *message*."""
        inner = self._inner.copy()
        inner.update(message)
        outer = self._outer.copy()
        outer.update(inner.digest())
        return outer.digest()  # type: ignore[no-any-return]  # a hash object of any kind


class CookieSigner:
    """Signs and reads values in itsdangerous' timed URL-safe format, with keys that are derived once.

    :param keys: the secret keys, the one that signs first.
    """

    def __init__(self, keys: tuple[str | bytes, ...], salt: bytes) -> None:
        # The derivation is itsdangerous' "hmac" one: the key of a salt is the HMAC of the salt.
        self._macs = [_Mac(_Mac(_to_bytes(key)).digest(salt)) for key in keys]

    def sign(self, data: bytes) -> str:
        """Return *data* with the time and a signature, in characters that need no quoting in a cookie."""
        payload = _encode(data)
        if len(data) >= _COMPRESS_FROM:
            compressed = zlib.compress(data)
            if len(compressed) < len(data) - 1:
                payload = b"." + _encode(compressed)
        now = int(time.time())
        value = payload + b"." + _encode(now.to_bytes((now.bit_length() + 7) // 8, "big"))
        signature = _encode(self._macs[0].digest(value))
        return f"{value.decode('ascii')}.{signature.decode('ascii')}"

    def unsign(self, text: str, max_age: float) -> bytes:
        """Return the data of a signed text.

        :raises BadCookie: for a wrong signature, a damaged value, or one older than *max_age* seconds.
        """
        try:
            value, _, signature = text.encode("ascii").rpartition(b".")
            given = _decode(signature)
            # SECURITY: compared in constant time, the signature comes from the client.
            if True not in [hmac.compare_digest(mac.digest(value), given) for mac in self._macs]:
                raise BadCookie("the signature does not match")
            payload, _, timestamp = value.rpartition(b".")
            age = time.time() - int.from_bytes(_decode(timestamp), "big")
            if age > max_age or age < -CLOCK_TOLERANCE:
                raise BadCookie(f"signed {age:.0f} seconds ago")
            if payload.startswith(b"."):
                return zlib.decompress(_decode(payload[1:]))
            return _decode(payload)
        except (ValueError, zlib.error) as error:
            raise BadCookie(str(error)) from None


def _to_bytes(value: str | bytes) -> bytes:
    return value.encode() if isinstance(value, str) else value


_TO_URL_SAFE = bytes.maketrans(b"+/", b"-_")
_FROM_URL_SAFE = bytes.maketrans(b"-_", b"+/")


def _encode(data: bytes) -> bytes:
    # RFC: 4648 section 5, without padding. PERF: the `base64` module does the same in three Python calls.
    return binascii.b2a_base64(data, newline=False).translate(_TO_URL_SAFE).rstrip(b"=")


def _decode(text: bytes) -> bytes:
    return binascii.a2b_base64(text.translate(_FROM_URL_SAFE) + b"=" * (-len(text) % 4))


@lru_cache(maxsize=32)
def _signer(keys: tuple[str | bytes, ...], salt: str) -> CookieSigner:
    return CookieSigner(keys, salt.encode())


class SecureCookieSessionInterface(SessionInterface):
    """Keeps the session in a cookie that is signed with the app's secret key: readable by the user, not changeable."""

    salt = "cookie-session"
    """Mixed into the key, so that other values signed with the same key cannot be used as sessions."""

    digest_method = staticmethod(_lazy_sha1)
    """The hash function of the signature."""

    key_derivation = "hmac"
    """How itsdangerous derives the signing key."""

    serializer: Any = session_json_serializer
    """Turns the session into text: by default JSON that also knows tuples, bytes, dates, UUIDs and Markup."""

    session_class = SecureCookieSession

    def get_signing_serializer(self, app: Any) -> URLSafeTimedSerializer | None:
        """Return itsdangerous' serializer for the app's keys, or None when no secret key is set."""
        if not app.secret_key:
            return None
        from itsdangerous import URLSafeTimedSerializer

        # itsdangerous signs with the last key and tries all of them when it reads.
        keys: Any = [*(app.config["SECRET_KEY_FALLBACKS"] or ()), app.secret_key]
        return URLSafeTimedSerializer(
            keys,
            salt=self.salt,
            serializer=self.serializer,
            signer_kwargs={"key_derivation": self.key_derivation, "digest_method": self.digest_method},
        )

    def _fast_signer(self, app: Any) -> CookieSigner | None:
        """Return the signer for the app's keys when this interface uses Flask's own format, else None."""
        if (
            not app.secret_key
            or type(self).get_signing_serializer is not SecureCookieSessionInterface.get_signing_serializer
            or self.digest_method is not _lazy_sha1
            or self.key_derivation != "hmac"
            or not isinstance(self.salt, str)
        ):
            return None
        return _signer((app.secret_key, *reversed(app.config["SECRET_KEY_FALLBACKS"] or ())), self.salt)

    def open_session(self, app: Any, request: Request) -> SecureCookieSession | None:
        """Return the session in the request's cookie; an empty one if there is none or it is not ours, or too old."""
        if not app.secret_key:
            return None
        value = request.find_cookie(self.get_cookie_name(app))
        if not value:
            return self.session_class()
        max_age = int(app.permanent_session_lifetime.total_seconds())
        signer = self._fast_signer(app)
        if signer is None:
            return self._open_with_itsdangerous(app, value, max_age)
        try:
            return self._make_session(self.serializer.loads(signer.unsign(value, max_age).decode()))
        except (BadCookie, ValueError):
            return self.session_class()

    def _make_session(self, values: Any) -> SecureCookieSession:
        # Signed with our key, but no session: another program may use the same key and salt.
        is_session = type(values) is dict or isinstance(values, Mapping)
        return self.session_class(values) if is_session else self.session_class()

    def may_be_permanent(self, value: str) -> bool:
        """Tell, from the unchecked payload of a cookie, whether it could be a permanent session.

        PERF: a permanent session has its cookie sent again on each request, also when nobody looks at it; this spares the
        others the signature.
        """
        if self.serializer is not session_json_serializer or value.startswith("."):
            return True
        try:
            return b"_permanent" in _decode(value.partition(".")[0].encode("ascii"))
        except ValueError:
            return False

    def _open_with_itsdangerous(self, app: Any, value: str, max_age: int) -> SecureCookieSession | None:
        from itsdangerous import BadSignature, SignatureExpired

        serializer = self.get_signing_serializer(app)
        if serializer is None:
            return None
        try:
            return self._make_session(serializer.loads(value, max_age=max_age))
        except SignatureExpired as error:
            signed = error.date_signed
            if signed is not None and error.payload is not None:
                age = time.time() - signed.timestamp()
                if -CLOCK_TOLERANCE <= age < 0:
                    return self._make_session(serializer.load_payload(error.payload))
            return self.session_class()
        except BadSignature:
            return self.session_class()

    def save_session(self, app: Any, session: SessionMixin, response: Response) -> None:
        """Set the cookie if the session says so, delete it if the session was emptied, and vary on it if it was read."""
        if session.accessed:
            _vary_on_cookie(response)
        name = self.get_cookie_name(app)
        attributes: dict[str, Any] = {
            "domain": self.get_cookie_domain(app),
            "path": self.get_cookie_path(app),
            "secure": self.get_cookie_secure(app),
            "httponly": self.get_cookie_httponly(app),
            "samesite": self.get_cookie_samesite(app),
            "partitioned": self.get_cookie_partitioned(app),
        }
        if not session:
            if session.modified:
                response.delete_cookie(name, **attributes)
                _vary_on_cookie(response)
            return
        if not self.should_set_cookie(app, session):
            return
        response.set_cookie(
            name, self._sign(app, dict(session)), expires=self.get_expiration_time(app, session), **attributes
        )
        # SECURITY: CVE-2023-30861: a refreshed cookie must not be handed to others by a shared cache.
        _vary_on_cookie(response)

    def _sign(self, app: Any, values: dict[str, Any]) -> str:
        signer = self._fast_signer(app)
        if signer is not None:
            text = self.serializer.dumps(values)
            return signer.sign(_to_bytes(text))
        serializer = self.get_signing_serializer(app)
        if serializer is None:
            raise RuntimeError("The session cannot be saved: the app has no secret_key any more.")
        return str(serializer.dumps(values))


def _vary_on_cookie(response: Response) -> None:
    headers = response.headers
    varies = headers.get("Vary")
    if varies is None:
        headers["Vary"] = "Cookie"
    elif varies != "Cookie":
        response.vary.add("Cookie")
