"""A client for async tests, which runs the app on the test's own loop: `app.test_async_client()`."""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING, Any, Final

from werkzeug.datastructures import Headers
from werkzeug.test import ClientRedirectError

from ..servers.asgi import serve_asgi
from ..servers.messages import Message
from .client import FlaskClient
from .scope import scope_of
from .websocket import AsyncWebSocketSession

if TYPE_CHECKING:
    from werkzeug.test import TestResponse

_REDIRECTS: Final = frozenset({301, 302, 303, 305, 307, 308})


class _Describing(FlaskClient):
    """A client that returns the request it should send, for the redirects."""

    def open(self, *args: Any, **_options: Any) -> Any:
        return args[0]


class AsyncClient:
    """Sends requests to an app over ASGI, without a server. Cookies are kept from one request to the next.

    ::

        client = app.test_async_client()
        response = await client.get("/")
        assert response.text == "Hello, World!"

    Arguments and responses are those of `app.test_client()`. A body is read whole before the response is returned.
    """

    def __init__(self, app: Any, response_class: Any, **kwargs: Any) -> None:
        self._app = app
        # COMPAT: requests are described, and cookies kept, by the synchronous client.
        self._client = _Describing(app, response_class, **kwargs)
        self.set_cookie = self._client.set_cookie
        self.get_cookie = self._client.get_cookie
        self.delete_cookie = self._client.delete_cookie
        self.session_transaction = self._client.session_transaction

    async def open(
        self, *args: Any, buffered: bool = True, follow_redirects: bool = False, **kwargs: Any
    ) -> TestResponse:
        """Send a request and return the response.

        :param buffered: changes nothing: the body is always read.
        :param follow_redirects: send further requests until the answer is no redirect.
        """
        response = await self._ask(args, kwargs)
        history: list[TestResponse] = []
        while follow_redirects and response.status_code in _REDIRECTS:
            if any((response.location, response.status) == (earlier.location, earlier.status) for earlier in history):
                raise ClientRedirectError(f"Loop detected: a second redirect to {response.location}.")
            history.append(response)
            response = await self._ask((self._client.resolve_redirect(response),), {})
        response.history = tuple(history)
        return response

    async def _ask(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> TestResponse:
        request = self._client._make_request(args, kwargs)
        environ = request.environ
        self._client._add_cookies_to_wsgi(environ)
        body = environ["wsgi.input"].read()
        # A redirect may ask for the same body again.
        environ["wsgi.input"] = BytesIO(body)
        sent: list[Message] = []
        messages = [{"type": "http.request", "body": body, "more_body": False}]

        async def receive() -> Message:
            # The client waits for the answer: it does not leave.
            return messages.pop() if messages else await _never()

        async def send(message: Message) -> None:
            sent.append(message)

        await serve_asgi(self._app, scope_of(environ), receive, send)
        start = sent[0]
        headers = Headers([(name.decode("latin1"), value.decode("latin1")) for name, value in start["headers"]])
        host = request.host.partition(":")[0]
        self._client._update_cookies_from_response(host, request.path, headers.getlist("Set-Cookie"))
        chunks = [message.get("body", b"") for message in sent[1:]]
        status = str(start["status"])
        response: TestResponse = self._client.response_wrapper(chunks, status, headers, request=request)
        response.json_module = self._app.json
        return response

    async def get(self, *args: Any, **kwargs: Any) -> TestResponse:
        """Send a GET request."""
        return await self.open(*args, **kwargs, method="GET")

    async def post(self, *args: Any, **kwargs: Any) -> TestResponse:
        """Send a POST request."""
        return await self.open(*args, **kwargs, method="POST")

    async def put(self, *args: Any, **kwargs: Any) -> TestResponse:
        """Send a PUT request."""
        return await self.open(*args, **kwargs, method="PUT")

    async def patch(self, *args: Any, **kwargs: Any) -> TestResponse:
        """Send a PATCH request."""
        return await self.open(*args, **kwargs, method="PATCH")

    async def delete(self, *args: Any, **kwargs: Any) -> TestResponse:
        """Send a DELETE request."""
        return await self.open(*args, **kwargs, method="DELETE")

    async def head(self, *args: Any, **kwargs: Any) -> TestResponse:
        """Send a HEAD request."""
        return await self.open(*args, **kwargs, method="HEAD")

    async def options(self, *args: Any, **kwargs: Any) -> TestResponse:
        """Send an OPTIONS request."""
        return await self.open(*args, **kwargs, method="OPTIONS")

    def websocket(self, *args: Any, subprotocols: tuple[str, ...] = (), **kwargs: Any) -> AsyncWebSocketSession:
        """Return a WebSocket to the app: `async with client.websocket("/chat") as session: ...`."""
        return AsyncWebSocketSession(self._app, websocket_scope(self._client, args, kwargs, subprotocols))


def websocket_scope(
    client: FlaskClient, args: tuple[Any, ...], kwargs: dict[str, Any], subprotocols: tuple[str, ...]
) -> dict[str, Any]:
    """Return the scope of a WebSocket that the arguments of `open` describe, with the client's cookies."""
    environ = client._make_request(args, kwargs).environ
    client._add_cookies_to_wsgi(environ)
    return {**scope_of(environ, "websocket"), "subprotocols": list(subprotocols)}


async def _never() -> Message:
    import asyncio

    await asyncio.get_running_loop().create_future()
    raise AssertionError("nobody completes it")
