"""`quaff routes`: which rules are shown, how, and in which order."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from quaff import Quaff
from quaff.cli import FlaskGroup
from quaff.cli.routes import build_columns, format_table
from tests.cli.project import Project


@pytest.fixture
def shop() -> Quaff:
    """Give an app whose rules have a different order by each column."""
    app = Quaff("shop", static_folder=None)
    app.add_url_rule("/z/<int:number>", endpoint="middle", methods=["GET", "POST"])
    app.add_url_rule("/b", endpoint="last", methods=["DELETE"])
    app.add_url_rule("/m", endpoint="first")
    return app


def show(app: Quaff, *arguments: str) -> list[list[str]]:
    """Run the command for *app*, and return the columns of each line, title first."""
    result = CliRunner().invoke(FlaskGroup(create_app=lambda: app), ["routes", *arguments])
    assert result.exit_code == 0, result.output
    return [[cell.strip() for cell in line.split("  ") if cell.strip()] for line in result.output.splitlines()]


def endpoints(app: Quaff, *arguments: str) -> list[str]:
    """Return the first column of the table."""
    return [row[0] for row in show(app, *arguments)[2:]]


def test_table(shop: Quaff) -> None:
    """A title, a line, and one row for each rule, by default sorted by endpoint; HEAD and OPTIONS are understood."""
    assert show(shop) == [
        ["Endpoint", "Methods", "Rule"],
        ["--------", "---------", "---------------"],
        ["first", "GET", "/m"],
        ["last", "DELETE", "/b"],
        ["middle", "GET, POST", "/z/<int:number>"],
    ]


@pytest.mark.parametrize(
    "column, expected",
    [
        ("endpoint", ["first", "last", "middle"]),
        ("methods", ["last", "first", "middle"]),
        ("rule", ["last", "first", "middle"]),
    ],
)
def test_sorted_by_column(shop: Quaff, column: str, expected: list[str]) -> None:
    """The rows are sorted by the text of the column that is asked for."""
    assert endpoints(shop, "--sort", column) == expected
    assert endpoints(shop, "-s", column) == expected


def test_sorted_as_matched(shop: Quaff) -> None:
    """`--sort match` is the order of the map, in which rules are tried."""
    expected = [rule.endpoint for rule in shop.url_map.iter_rules()]
    assert endpoints(shop, "--sort", "match") == expected
    assert expected != endpoints(shop)


def test_unknown_column(shop: Quaff) -> None:
    """A column that there is not is refused with the list of those that there are."""
    result = CliRunner().invoke(FlaskGroup(create_app=lambda: shop), ["routes", "--sort", "name"])
    assert result.exit_code == 2
    assert "'endpoint', 'methods', 'domain', 'rule', 'match'" in result.output


def test_all_methods(shop: Quaff) -> None:
    """HEAD and OPTIONS, which come by themselves, are shown on demand."""
    hidden = "\n".join("  ".join(row) for row in show(shop))
    assert "HEAD" not in hidden
    assert "OPTIONS" not in hidden
    rows = {row[0]: row for row in show(shop, "--all-methods")}
    assert rows["first"][1] == "GET, HEAD, OPTIONS"
    assert rows["last"][1] == "DELETE, OPTIONS"


def test_static_files_are_a_route(app: Quaff) -> None:
    """The rule of the static folder is listed as any other."""
    assert endpoints(app) == ["static"]


def test_no_routes() -> None:
    """An app without any rule says so."""
    assert show(Quaff("empty", static_folder=None)) == [["No routes were registered."]]


def test_subdomains() -> None:
    """Where a rule has a subdomain there is a column for it, by which the table can be sorted."""
    app = Quaff("domains", static_folder=None, subdomain_matching=True)
    app.add_url_rule("/", endpoint="a", subdomain="zeta")
    app.add_url_rule("/", endpoint="b", subdomain="alpha")
    table = show(app, "--sort", "domain")
    assert table[0] == ["Endpoint", "Methods", "Subdomain", "Rule"]
    assert [row[0] for row in table[2:]] == ["b", "a"]


def test_hosts() -> None:
    """With host matching that column is called Host."""
    app = Quaff("hosts", static_folder=None, host_matching=True)
    app.add_url_rule("/", endpoint="a", host="a.example")
    assert show(app)[0] == ["Endpoint", "Methods", "Host", "Rule"]


def test_sort_by_domain_without_domains(shop: Quaff) -> None:
    """Without any subdomain the order by it is the order of the map, not an error."""
    assert endpoints(shop, "--sort", "domain") == [rule.endpoint for rule in shop.url_map.iter_rules()]


def test_build_columns(shop: Quaff) -> None:
    """The columns are lists of text of equal length, and the methods that are hidden are left out of them."""
    columns = build_columns(shop.url_map.iter_rules("middle"), frozenset({"POST"}), host_matching=False)
    assert columns == {"endpoint": ["middle"], "methods": ["GET, HEAD, OPTIONS"], "rule": ["/z/<int:number>"]}


def test_format_table() -> None:
    """Each column is as wide as its longest cell, title or not."""
    assert format_table(["Long title", "B"], [("a", "longer cell"), ("b", "c")]) == [
        "Long title  B          ",
        "----------  -----------",
        "a           longer cell",
        "b           c          ",
    ]


def test_of_a_flask_app(project: Project) -> None:
    """From the shell: the routes of an app that was written for Flask, in a file of any name."""
    project.write("shop.py")
    printed = project.quaff("--app", "shop", "routes").stdout.splitlines()
    assert printed[0].split() == ["Endpoint", "Methods", "Rule"]
    assert printed[2].split() == ["index", "GET", "/"]
    assert printed[3].split() == ["static", "GET", "/static/<path:filename>"]
