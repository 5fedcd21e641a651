"""`{% cache %}`: parts of templates that are rendered once.

```jinja
{% cache 60 %}...{% endcache %}                        its key is the template's file and the line
{% cache 60, "menu" %}...{% endcache %}                this key, wherever it stands
{% cache 60, "menu", current_user.id %}...{% endcache %}   one for each user
{% cache None, "menu" %}...{% endcache %}              for CACHE_DEFAULT_TIMEOUT
{% cache "del", "menu" %}...{% endcache %}             delete it, and render
```

A fragment without further arguments that reads the session, the user, cookies or `Authorization` is rendered each time; in
debug mode that is an error.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, Final

from jinja2 import nodes
from jinja2.ext import Extension
from jinja2.parser import Parser

from .engine import Engine, Look, logger
from .fragments import make_template_fragment_key
from .privacy import Reads, Verdict, judge_function
from .rules import Rules

JINJA_CACHE_ATTR_NAME: Final = "_template_fragment_cache"
"""The attribute of the Jinja environment that holds the `Cache`."""

_OWN_CACHE: Final = "quaff.caching.fragments"


def install(app: Any, cache: Any) -> None:
    """Give an app's templates `{% cache %}`, with *cache* behind it."""
    app.extensions[_OWN_CACHE] = cache
    if "jinja_env" in app.__dict__:
        app.jinja_env.add_extension(CacheExtension)
        setattr(app.jinja_env, JINJA_CACHE_ATTR_NAME, cache)
        return
    # The environment is made when the first template needs it.
    extensions = list(app.jinja_options.get("extensions", ()))
    if CacheExtension not in extensions:
        app.jinja_options = {**app.jinja_options, "extensions": [*extensions, CacheExtension]}


class CacheExtension(Extension):
    """The Jinja extension."""

    tags: ClassVar[set[str]] = {"cache"}  # type: ignore[misc]  # Jinja has it as an attribute of the instance

    def parse(self, parser: Parser) -> nodes.Node:
        """Read one `{% cache %}` to its end."""
        line = next(parser.stream).lineno
        arguments: list[nodes.Expr] = [parser.parse_expression()]
        while parser.stream.skip_if("comma"):
            arguments.append(parser.parse_expression())
        if len(arguments) == 1:
            arguments.append(nodes.Const(f"{parser.filename}{line}"))
        timeout, name, *varying = arguments
        body = parser.parse_statements(("name:endcache",), drop_needle=True)
        call = self.call_method("_cache", [timeout, name, nodes.List(varying)])
        return nodes.CallBlock(call, [], [], body).set_lineno(line)

    def _cache(self, timeout: Any, fragment_name: str, vary_on: list[Any], caller: Callable[[], str]) -> Any:
        environment: Any = self.environment
        cache = getattr(environment, JINJA_CACHE_ATTR_NAME, None) or environment.app.extensions[_OWN_CACHE]
        key = make_template_fragment_key(fragment_name, vary_on)
        if timeout == "del":
            _delete(cache, key)
            return caller()
        return FragmentEngine(cache, caller, key, timeout, has_parts=bool(vary_on)).call((), {})


def _delete(cache: Any, key: str) -> None:
    try:
        cache.delete(key)
    except Exception:
        if cache.bound().app.debug:
            raise
        logger.exception("The template fragment %r could not be deleted from the cache.", key)


class FragmentEngine(Engine):
    """The caching of one fragment, for one time that it is rendered."""

    def __init__(self, cache: Any, caller: Callable[[], str], key: str, timeout: Any, *, has_parts: bool) -> None:
        super().__init__(cache, caller, Rules(timeout=timeout))
        self._key = key
        self._has_parts = has_parts

    def key_for(self, look: Look) -> str:
        """Return the fragment's key."""
        return self._key

    def judge(self, look: Look, reads: Reads, value: Any) -> Verdict:
        """Tell whether the fragment may be stored and given to others."""
        if look.bound.settings.shares_anything or self._has_parts:
            # Who names what the fragment depends on has thought of it.
            return Verdict()
        return judge_function(reads, None, look.keyed)

    def _name(self) -> str:
        return f"The template fragment {self._key!r}"
