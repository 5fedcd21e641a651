"""Explanations for mistakes that are hard to see; all but the exception classes is used in debug mode only."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from jinja2.loaders import BaseLoader
from werkzeug.routing import RequestRedirect

from .globals import active_request_context

# `Any` for requests, apps and blueprints: their classes live in higher layers.

Found = tuple[str, str | None, Callable[[], bool] | None]
Attempt = tuple[BaseLoader, Any, Found | None]


class UnexpectedUnicodeError(AssertionError, UnicodeError):
    """Text came where bytes were expected, or the other way round. Nothing raises it; programs may catch it."""


class DebugFilesKeyError(KeyError, AssertionError):
    """A file was asked for that the form did not send, because of its encoding."""

    def __init__(self, request: Any, key: str) -> None:
        self.msg = (
            f"There is no file {key!r} in request.files. The mimetype of the request is {request.mimetype!r} instead"
            " of 'multipart/form-data', which means that no file contents were transmitted. Put"
            ' enctype="multipart/form-data" on the form.'
        )
        names = request.form.getlist(key)
        if names:
            sent = ", ".join(map(repr, names))
            self.msg += f"\n\nThe browser sent names of files only. This was submitted: {sent}"
        super().__init__(self.msg)

    def __str__(self) -> str:
        return self.msg


class FormDataRoutingRedirect(AssertionError):
    """Routing would answer a request that has a body with a redirect that makes browsers drop the body.

    That is a 301 or 302 for another method than GET, HEAD and OPTIONS.
    """

    def __init__(self, request: Any) -> None:
        redirect: RequestRedirect = request.routing_exception
        text = (
            f"A request was sent to '{request.url}', but routing issued a redirect to the canonical URL"
            f" '{redirect.new_url}'."
        )
        if f"{request.base_url}/" == redirect.new_url.partition("?")[0]:
            text += (
                " The rule ends with a slash and the request's URL does not; then the request is redirected to the URL"
                " with the slash."
            )
        text += (
            " Send the request to the canonical URL, or make routing redirect with 307 or 308. Otherwise browsers drop"
            " the form data.\n\nThis exception is only raised in debug mode."
        )
        super().__init__(text)


def attach_enctype_error_multidict(request: Any) -> None:
    """Make `request.files[key]` explain a missing `enctype` when the form has *key* as a plain field."""
    files_class: Any = type(request.files)

    class ExplainingFiles(files_class):  # type: ignore[misc]
        def __getitem__(self, key: str) -> Any:
            try:
                return super().__getitem__(key)
            except KeyError as error:
                if key not in request.form:
                    raise
                raise DebugFilesKeyError(request, key).with_traceback(error.__traceback__) from None

    ExplainingFiles.__name__ = files_class.__name__
    ExplainingFiles.__module__ = files_class.__module__
    request.files.__class__ = ExplainingFiles


def _dump_loader_info(loader: BaseLoader) -> Iterator[str]:
    yield f"class: {type(loader).__module__}.{type(loader).__name__}"
    for key, value in sorted(vars(loader).items()):
        if key.startswith("_"):
            continue
        if isinstance(value, (str, int, float, bool)):
            yield f"{key}: {value!r}"
        elif isinstance(value, (tuple, list)) and all(isinstance(item, str) for item in value):
            yield f"{key}:"
            yield from (f"  - {item}" for item in value)


def _name_source(source: Any) -> str:
    """Return how an app or a blueprint is called in the explanation."""
    # By what they have, not what they are: their classes live in higher layers.
    if hasattr(source, "url_map"):
        return f"application {source.import_name!r}"
    if hasattr(source, "url_prefix"):
        return f"blueprint {source.name!r} ({source.import_name})"
    return repr(source)


def explain_template_loading_attempts(app: Any, template: str, attempts: list[Attempt]) -> None:
    """Log where a template was looked for and where it was found; for `EXPLAIN_TEMPLATE_LOADING`."""
    lines = [f"Locating template {template!r}:"]
    for number, (loader, source, found) in enumerate(attempts, start=1):
        lines.append(f"{number:5}: trying loader of {_name_source(source)}")
        lines.extend(f"       {line}" for line in _dump_loader_info(loader))
        lines.append("       -> no match" if found is None else f"       -> found ({found[1] or '<string>'!r})")

    hits = sum(found is not None for _, _, found in attempts)
    if hits == 0:
        lines.append("Error: the template could not be found.")
    elif hits > 1:
        lines.append("Warning: multiple loaders returned a match for the template.")

    context = active_request_context()
    blueprint = context.request.blueprint if context is not None else None
    if blueprint is not None and hits != 1:
        lines.append(f"  The template was looked up from an endpoint that belongs to the blueprint {blueprint!r}.")
        lines.append("  Maybe you did not place a template in the right folder?")
        lines.append("  See https://flask.palletsprojects.com/blueprints/#templates")
    app.logger.info("\n".join(lines))
