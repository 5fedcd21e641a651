"""`quaff routes`: the app's URL rules as a table."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import click

from ..globals import active_app_context
from .script import with_appcontext


@click.command("routes", short_help="Show the routes for the app.")
@click.option(
    "--sort",
    "-s",
    type=click.Choice(("endpoint", "methods", "domain", "rule", "match")),
    default="endpoint",
    show_default=True,
    help="Sort by this column; 'match' is the order in which rules are tried.",
)
@click.option("--all-methods", is_flag=True, help="Show HEAD and OPTIONS methods as well.")
@with_appcontext
def routes_command(sort: str, all_methods: bool) -> None:
    """Show all registered routes with endpoints and methods."""
    context = active_app_context()
    url_map: Any = context.app.url_map if context is not None else None  # with_appcontext pushed one
    rules = list(url_map.iter_rules())
    if not rules:
        click.echo("No routes were registered.")
        return
    hidden = frozenset() if all_methods else frozenset({"HEAD", "OPTIONS"})
    columns = build_columns(rules, hidden, host_matching=url_map.host_matching)
    rows = list(zip(*columns.values(), strict=True))
    # `match` is the order that the rules have; `domain` may not be there.
    if sort in columns:
        position = list(columns).index(sort)
        rows.sort(key=lambda row: row[position])
    domain = "Host" if url_map.host_matching else "Subdomain"
    titles = [domain if name == "domain" else name.title() for name in columns]
    for line in format_table(titles, rows):
        click.echo(line)


def build_columns(rules: Iterable[Any], hidden: frozenset[str], *, host_matching: bool) -> dict[str, list[str]]:
    """Return the columns of the table by name: endpoint, methods, domain where a rule has one, rule.

    :param hidden: methods that are not shown.
    """
    rules = list(rules)
    domains = [(rule.host if host_matching else rule.subdomain) or "" for rule in rules]
    columns = {
        "endpoint": [rule.endpoint for rule in rules],
        "methods": [", ".join(sorted((rule.methods or set()) - hidden)) for rule in rules],
        "domain": domains,
        "rule": [rule.rule for rule in rules],
    }
    if not any(domains):
        del columns["domain"]
    return columns


def format_table(titles: list[str], rows: list[tuple[str, ...]]) -> list[str]:
    """Return the lines of a table with a rule under its titles.

    >>> format_table(["Endpoint", "Rule"], [("index", "/")])
    ['Endpoint  Rule', '--------  ----', 'index     /   ']
    """
    widths = [max(map(len, column)) for column in zip(titles, *rows, strict=True)]
    table = [tuple(titles), tuple("-" * width for width in widths), *rows]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in table]
