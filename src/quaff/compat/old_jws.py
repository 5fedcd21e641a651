"""The JSON Web Signatures that itsdangerous had until 2.1.

Tutorials use them for tokens in links: to confirm an address, to reset a password. Tokens are the same as before, in both
directions. The algorithm "none" did not come back. SECURITY: such a token is signed by nobody.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from itsdangerous import (
    BadHeader,
    BadPayload,
    BadSignature,
    HMACAlgorithm,
    SignatureExpired,
    Signer,
    base64_decode,
    base64_encode,
    want_bytes,
)

_DIGESTS: Final[dict[str, Callable[..., Any]]] = {
    "HS256": hashlib.sha256,
    "HS384": hashlib.sha384,
    "HS512": hashlib.sha512,
}


class JSONWebSignatureSerializer:
    """Signs values as `header.payload.signature`, each in base64."""

    default_algorithm = "HS512"

    def __init__(
        self,
        secret_key: str | bytes | Iterable[str] | Iterable[bytes],
        salt: str | bytes | None = None,
        algorithm_name: str | None = None,
    ) -> None:
        """Make a serializer.

        :param secret_key: the key, or several of which the last one signs.
        :param salt: keeps tokens for different uses of one key apart; without one the key is used as it is (RFC 7515).
        :param algorithm_name: HS256, HS384 or HS512, the default.
        :raises NotImplementedError: for another algorithm.
        """
        self.algorithm_name = algorithm_name or self.default_algorithm
        if self.algorithm_name not in _DIGESTS:
            raise NotImplementedError(f"There is no algorithm {self.algorithm_name!r}, only {', '.join(_DIGESTS)}.")
        self.secret_key = secret_key
        self.salt = salt

    def make_header(self, header_fields: Mapping[str, Any] | None) -> dict[str, Any]:
        """Return the header of a new token."""
        return {**(header_fields or {}), "alg": self.algorithm_name}

    def dumps(self, obj: Any, salt: str | bytes | None = None, header_fields: Mapping[str, Any] | None = None) -> bytes:
        """Return a token that holds *obj*.

        :param header_fields: more for the header.
        """
        parts = (self.make_header(header_fields), obj)
        encoded = (base64_encode(json.dumps(part, separators=(",", ":"))) for part in parts)
        return self._signer(salt).sign(b".".join(encoded))

    def loads(self, s: str | bytes, salt: str | bytes | None = None, return_header: bool = False) -> Any:
        """Return what the token *s* holds, or with *return_header* that and the header.

        :raises itsdangerous.BadSignature: when it was not signed with this key.
        :raises itsdangerous.BadHeader: when it was signed with another algorithm.
        """
        signed = self._signer(salt).unsign(want_bytes(s))
        first, dot, second = signed.partition(b".")
        if not dot:
            raise BadPayload('No "." found in value')
        header, payload = self._decode(first, BadHeader), self._decode(second, BadPayload)
        # SECURITY: the token does not choose how it is checked.
        if not isinstance(header, dict) or header.get("alg") != self.algorithm_name:
            raise BadHeader("Algorithm mismatch", header=header, payload=payload)
        return (payload, header) if return_header else payload

    def _signer(self, salt: str | bytes | None) -> Signer:
        algorithm = HMACAlgorithm(_DIGESTS[self.algorithm_name])
        used = self.salt if salt is None else salt
        # RFC: 7515 section 3 signs with the key itself; with a salt it is itsdangerous's own scheme.
        return Signer(
            self.secret_key, used, sep=b".", key_derivation="none" if used is None else None, algorithm=algorithm
        )

    def _decode(self, encoded: bytes, failure: type[BadHeader | BadPayload]) -> Any:
        try:
            return json.loads(base64_decode(encoded))
        except Exception as error:
            raise failure("The token is signed but cannot be read.", original_error=error) from error


class TimedJSONWebSignatureSerializer(JSONWebSignatureSerializer):
    """Signs values that expire."""

    DEFAULT_EXPIRES_IN = 3600

    def __init__(
        self,
        secret_key: str | bytes | Iterable[str] | Iterable[bytes],
        expires_in: int | None = None,
        salt: str | bytes | None = None,
        algorithm_name: str | None = None,
    ) -> None:
        """Make a serializer.

        :param expires_in: seconds that a token is good for, an hour by default.
        """
        super().__init__(secret_key, salt, algorithm_name)
        self.expires_in = self.DEFAULT_EXPIRES_IN if expires_in is None else expires_in

    def make_header(self, header_fields: Mapping[str, Any] | None) -> dict[str, Any]:
        """Return the header of a new token: with the times when it was made and when it expires."""
        now = self.now()
        return {**super().make_header(header_fields), "iat": now, "exp": now + self.expires_in}

    def loads(self, s: str | bytes, salt: str | bytes | None = None, return_header: bool = False) -> Any:
        """Return what the token *s* holds, or with *return_header* that and the header.

        :raises itsdangerous.SignatureExpired: when its time is over.
        :raises itsdangerous.BadSignature: when it was not signed with this key, or never expires.
        :raises itsdangerous.BadHeader: when its header is not one of a token that expires.
        """
        payload, header = super().loads(s, salt, return_header=True)
        if "exp" not in header:
            raise BadSignature("Missing expiry date", payload=payload)
        try:
            expires = int(header["exp"])
        except (TypeError, ValueError):
            expires = -1
        if expires < 0:
            raise BadHeader("Expiry date is not an IntDate", payload=payload)
        if expires < self.now():
            raise SignatureExpired("Signature expired", payload=payload, date_signed=self.get_issue_date(header))
        return (payload, header) if return_header else payload

    def get_issue_date(self, header: Mapping[str, Any]) -> datetime | None:
        """Return when a token with this header was made, or None when it does not say."""
        made = header.get("iat")
        return datetime.fromtimestamp(int(made), tz=UTC) if isinstance(made, int | float) else None

    def now(self) -> int:
        """Return the time in seconds."""
        return int(time.time())
