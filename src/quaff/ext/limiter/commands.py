"""`quaff limiter`: show the settings and the limits of an app, test them for a key, and clear them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import click
from werkzeug.exceptions import HTTPException
from werkzeug.routing import Rule

from ...cli.script import with_appcontext
from ...globals import active_app_context
from ...pipeline.parts import marks_of
from .constants import ConfigVars
from .plans import Plan
from .rules import RuntimeLimit
from .site import Site
from .trees import Tree, columns

# Any, in this module: a `Limiter`, whose module hands these commands to the app.

Located = tuple[str, str, str]
"""Endpoint, method and identity of a limit."""


@click.group(help="Flask-Limiter maintenance & utility commands")
def cli() -> None:
    """Hold the commands."""


def _current_app() -> Any:
    context = active_app_context()
    return None if context is None else context.app  # with_appcontext pushed one


def _find_site(app: Any) -> tuple[Any, Site] | None:
    """Return the limiter of an app and its part for it; say so when there is none."""
    limiters: list[Any] = list(app.extensions.get("limiter", ()))
    site = limiters[0].find_site(app) if limiters else None
    if site is None:
        click.secho(f"No Flask-Limiter extension installed on {app}", fg="red", bold=True)
        return None
    return limiters[0], site


def function_name(value: Any) -> str:
    """Return a setting for people: the name of a function, or the value."""
    if not callable(value):
        return repr(value)
    name = getattr(value, "__name__", type(value).__name__)
    return f"<lambda>({value.__module__})" if name == "<lambda>" else f"{value.__module__}.{name}()"


@cli.command(help="View the extension configuration")
@with_appcontext
def config() -> None:
    """Print the settings of the app's limiter."""
    app = _current_app()
    found = _find_site(app)
    if found is None:
        return
    limiter, site = found
    settings = site.settings
    with app.test_request_context():
        rows = [
            ("Enabled", ConfigVars.ENABLED, repr(limiter.enabled)),
            ("Key function", ConfigVars.KEY_FUNC, function_name(limiter.key_func)),
            ("Key prefix", ConfigVars.KEY_PREFIX, repr(settings.key_prefix)),
            ("Application limits", ConfigVars.APPLICATION_LIMITS, _names(site, settings.application_limits)),
            ("Default limits", ConfigVars.DEFAULT_LIMITS, _names(site, settings.default_limits)),
            ("Meta limits", ConfigVars.META_LIMITS, _names(site, settings.meta_limits)),
            *(("", key, function_name(value)) for key, value in settings.values.items()),
            ("Headers", ConfigVars.HEADERS_ENABLED, repr(settings.headers_enabled)),
            ("While the store is down", ConfigVars.ON_STORE_FAILURE, settings.on_store_failure),
            ("Seconds for the store", ConfigVars.STORAGE_TIMEOUT, f"{settings.storage_timeout:g}"),
            ("Stop at first breach", ConfigVars.FAIL_ON_FIRST_BREACH, repr(settings.fail_on_first_breach)),
            ("On breach", ConfigVars.ON_BREACH, function_name(settings.on_breach)),
            *_store_rows(limiter, site),
        ]
    for line in columns(rows):
        click.echo(line)


def _names(site: Site, groups: Any) -> str:
    return ", ".join(str(limit.limit) for limit in site.facts.resolve(groups, "the configuration")) or "none"


def _store_rows(limiter: Any, site: Site) -> list[tuple[str, str, str]]:
    """Return the rows about the store: names as one tree, values as another beside it."""
    names = Tree(ConfigVars.STRATEGY, [Tree(ConfigVars.STORAGE_URI), Tree("Class"), Tree("Status")])
    values = Tree(type(limiter.limiter).__name__)
    # An URI may hold a password.
    values.add("N/A" if site.backend is None else site.backend.name)
    values.add(type(limiter.storage).__name__)
    values.add("OK" if limiter.storage.check() else "Error")
    return [("", name, value) for name, value in zip(names.lines(), values.lines(), strict=True)]


def _plans(site: Site, endpoint: str | None, method: str | None) -> Iterator[tuple[Rule, Plan]]:
    """Yield the rules of an app and what is decided for them, sorted by rule; not those of static files."""
    app = site.app
    for rule in sorted(app.url_map.iter_rules(endpoint), key=str):
        if rule.endpoint == "static":
            continue
        view = app.view_functions.get(rule.endpoint)
        for used in sorted({method or "GET"} & set(rule.methods or ()) or {_first_method(rule)}):
            marks = [mark.options for mark in marks_of(view, used) if mark.battery is site.limiter]
            yield rule, site.plan_for(rule.endpoint, used, view, marks)


def _first_method(rule: Rule) -> str:
    return min(set(rule.methods or ()) - {"HEAD", "OPTIONS"}, default="GET")


def _route_limits(plan: Plan) -> list[RuntimeLimit]:
    """Return the limits of a route, without those of the application."""
    shared = plan.facts.resolve(plan.facts.settings.application_limits, "the application")
    first = plan.first_limits()
    return [limit for limit in (*first, *plan.second_limits(plan.limited, first)) if limit not in shared]


class Stopped(Exception):
    """What was asked for is not there; it has been said."""


def _find_endpoint(app: Any, endpoint: str | None, path: str | None, method: str | None) -> str | None:
    """Return the endpoint that the options of a command name.

    :raises Stopped: when there is none.
    """
    if endpoint:
        if endpoint in app.view_functions:
            return endpoint
        click.secho(f"Error: {endpoint} not found", fg="red")
        raise Stopped
    if not path:
        return None
    plain, _, query = path.partition("?")
    try:
        found: str = app.url_map.bind("localhost").match(plain, method=method or "GET", query_args=query)[0]
    except HTTPException as error:
        which = f"{method.upper()}: {path}" if error.code == 405 and method else path
        click.secho(f"Error: {which} could not be matched to an endpoint", fg="red")
        raise Stopped from None
    return found


def _state(limiter: Any, limit: RuntimeLimit, key: str | None, where: Located) -> str:
    """Return, if a *key* is given, what is left for it."""
    if key is None:
        return ""
    if not limiter.storage.check():
        return ": Storage not available"
    endpoint, method, prefix = where
    args = (*((prefix,) if prefix else ()), key, limit.scope_for(endpoint, method))
    passes = limiter.limiter.test(limit.limit, *args)
    left = limiter.limiter.get_window_stats(limit.limit, *args)[1]
    return f": {'Pass' if passes else 'Fail'} ({left} out of {limit.limit.amount} remaining)"


def _limit_label(limit: RuntimeLimit) -> str:
    options = [
        f"{name}: {function_name(value)}"
        for name, value in (("deduct_when", limit.deduct_when), ("exempt_when", limit.exempt_when))
        if value is not None
    ]
    return f"{limit.limit} {{{', '.join(options)}}}" if options else str(limit.limit)


def _limits_tree(label: str, limiter: Any, limits: list[RuntimeLimit], key: str | None, plan: Plan) -> Tree:
    tree = Tree(label)
    for limit in limits:
        where = plan.endpoint, plan.method, plan.facts.settings.key_prefix
        tree.add(_limit_label(limit) + _state(limiter, limit, key, where))
    if not limits and plan.scope:
        tree.add("Exempt")
    return tree


def _all_trees(limiter: Any, site: Site, endpoint: str | None, method: str | None, key: str | None) -> list[Tree]:
    app, settings = site.app, site.settings
    trees: list[Tree] = []
    groups: dict[str, Tree] = {}
    for rule, plan in _plans(site, endpoint, method):
        if endpoint is None and not trees:
            for label, group in (
                ("Meta Limits", settings.meta_limits),
                ("Application Limits", settings.application_limits),
            ):
                limits = site.facts.resolve(group, label.lower())
                trees += [_limits_tree(label, limiter, limits, key, plan)] if limits else []
        name = plan.blueprint or app.name
        label = f"{rule.endpoint}: {rule}"
        groups.setdefault(name, Tree(name)).add(_limits_tree(label, limiter, _route_limits(plan), key, plan))
    return [*trees, *groups.values()]


@cli.command(help="Enumerate details about all routes with rate limits")
@click.option("--endpoint", default=None, help="Endpoint to filter by")
@click.option("--path", default=None, help="Path to filter by")
@click.option("--method", default=None, help="HTTP Method to filter by")
@click.option("--key", default=None, help="Test the limit")
@click.option("--watch/--no-watch", default=False, help="Print anew every two seconds, until Ctrl-C")
@with_appcontext
def limits(endpoint: str | None, path: str | None, method: str | None, key: str | None, watch: bool) -> None:
    """Print the limits of the app's routes, and for a key what is left of them."""
    app = _current_app()
    found = _find_site(app)
    if found is None:
        return
    with app.test_request_context():
        try:
            wanted = _find_endpoint(app, endpoint, path, method)
        except Stopped:
            return
        _print_trees(_all_trees(*found, wanted, method, key))
        while watch:
            time.sleep(2)
            click.clear()
            _print_trees(_all_trees(*found, wanted, method, key))


def _print_trees(trees: list[Tree]) -> None:
    for tree in trees:
        for line in tree.lines():
            click.echo(line)


@cli.command(help="Clear limits for a specific key")
@click.option("--endpoint", default=None, help="Endpoint to filter by")
@click.option("--path", default=None, help="Path to filter by")
@click.option("--method", default=None, help="HTTP Method to filter by")
@click.option("--key", default=None, required=True, help="Key to reset the limits for")
@click.option("-y", "yes", is_flag=True, help="Skip prompt for confirmation")
@with_appcontext
def clear(key: str, endpoint: str | None, path: str | None, method: str | None, yes: bool) -> None:
    """Clear what a key has used up."""
    app = _current_app()
    found = _find_site(app)
    if found is None:
        return
    limiter, site = found
    with app.test_request_context():
        try:
            wanted = _find_endpoint(app, endpoint, path, method)
        except Stopped:
            return
        if not yes:
            _print_trees(_all_trees(limiter, site, wanted, method, key))
            if not click.confirm(f"Proceed with resetting limits for key: {key}?"):
                return
        _print_trees(_clear_all(limiter, site, wanted, method, key))


def _clear_all(limiter: Any, site: Site, endpoint: str | None, method: str | None, key: str) -> list[Tree]:
    trees: list[Tree] = []
    for rule, plan in _plans(site, endpoint, method):
        if endpoint is None and not trees:
            found = site.facts.resolve(site.settings.application_limits, "the application")
            trees += [_clear_limits("Application Limits", limiter, found, rule, plan, key)] if found else []
        found = _route_limits(plan)
        if found:
            trees.append(_clear_limits(rule.endpoint, limiter, found, rule, plan, key))
    return trees


def _clear_limits(label: str, limiter: Any, limits: list[RuntimeLimit], rule: Rule, plan: Plan, key: str) -> Tree:
    tree = Tree(label)
    prefix = plan.facts.settings.key_prefix
    for limit in limits:
        methods = sorted(rule.methods or ()) if limit.per_method else [plan.method]
        for scope in dict.fromkeys(limit.scope_for(plan.endpoint, method) for method in methods):
            limiter.limiter.clear(limit.limit, *((prefix,) if prefix else ()), key, scope)
        tree.add(f"{limit.limit}: Cleared")
    return tree
