"""The results as files: JSON to keep and compare, Markdown to read, and the table in the README."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

Results = dict[str, Any]
"""One results file: facts of the run, and per section (`SECTIONS`) its figures."""

SECTIONS = ("in_process", "http", "import", "scaling", "protocols", "batteries", "database")
START, END = "<!-- bench:start -->", "<!-- bench:end -->"


def results_path(folder: Path, facts: Results) -> Path:
    """Return the file for an interpreter: `cpython-3.13.json`."""
    version = ".".join(facts["python"].split(".")[:2])
    return folder / f"{facts['implementation'].lower()}-{version}.json"


def save(folder: Path, facts: Results, measured: Results) -> Path:
    """Write the JSON and Markdown files; sections that were not measured this time keep their last figures.

    Each section says on which machine it was measured: the last one need not be that of the others.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = results_path(folder, facts)
    earlier = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    kept = {key: {"machine": earlier["machine"], **earlier[key]} for key in SECTIONS if key in earlier}
    new = {key: {**section, "machine": facts["machine"]} for key, section in measured.items()}
    results = {**kept, **facts, **new}
    path.write_text(json.dumps(results, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    path.with_suffix(".md").write_text(as_markdown(results), encoding="utf-8")
    return path


def load_all(folder: Path) -> list[Results]:
    """Return every results file of *folder*, the newest Python first."""
    files = [json.loads(path.read_text(encoding="utf-8")) for path in folder.glob("*.json")]
    return sorted(files, key=lambda results: [int(part) for part in results["python"].split(".")], reverse=True)


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table; every column but the first is aligned to the right."""
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def verdict(passed: bool | None) -> str:
    """Return how a bar went, in a word."""
    return {True: "yes", False: "**no**", None: ""}[passed]


def figure(value: float | None, pattern: str = "{:,.2f}") -> str:
    """Return a number as text, nothing for None."""
    return "" if value is None else pattern.format(value)


def opening(text: str) -> str:
    """Return *text* as it opens a line: `str.capitalize` would make a Websocket of a WebSocket."""
    return text[:1].upper() + text[1:]


def as_markdown(results: Results) -> str:
    """Return the whole report of one interpreter."""
    packages = ", ".join(f"{name} {version}" for name, version in results["packages"].items() if version)
    parts = [
        f"# {results['implementation']} {results['python']}\n",
        f"{results['machine']}. {packages}.\n",
    ]
    writers = {
        "in_process": in_process_part,
        "http": http_part,
        "import": import_part,
        "scaling": scaling_part,
        "protocols": protocols_part,
        "batteries": batteries_part,
        "database": database_part,
    }
    for name, write in writers.items():
        if name in results:
            when = results[name]["measured"] + (" (a quick look, not a result)" if results[name]["quick"] else "")
            parts.append(f"{write(results[name])}\nMeasured {when}{elsewhere(results, name)}.\n")
    return "\n".join(parts)


def elsewhere(results: Results, name: str, usual: str | None = None) -> str:
    """Return ` on MACHINE` for a section that was measured on another machine than the *usual* one, or nothing.

    :param usual: by default the machine of the last measurement.
    """
    machine = results[name].get("machine", results["machine"])
    return "" if machine == (usual or results["machine"]) else f" on {machine}"


def in_process_part(section: Results) -> str:
    """Return the table of the WSGI callables."""
    names = list(dict.fromkeys(name for row in section["rows"] for name in row["microseconds"]))
    head = ["", *[f"{name.capitalize()} µs" for name in names], "times faster than Flask", "bar", "reached"]
    rows = [
        [
            row["title"],
            *[figure(row["microseconds"].get(name)) for name in names],
            figure(row["ratio"]["median"], "{:.1f}"),
            figure(row["bar"], "{:g}"),
            verdict(row["passed"]),
        ]
        for row in section["rows"]
    ]
    return f"## One call of the WSGI callable\n\n{section['method']}\n\n{table(head, rows)}{failures(section)}"


def http_part(section: Results) -> str:
    """Return the tables of requests a second."""
    names = list(section["pages"][0]["rates"])
    head = ["requests a second", *[name.capitalize() for name in names], "Quaff / raw", "bar", "reached"]
    rows = [
        [
            page["page"],
            *[figure(page["rates"][name], "{:,.0f}") for name in names],
            figure(page["share"]),
            figure(page["bar"]),
            verdict(page["passed"]),
        ]
        for page in section["pages"]
    ]
    where = "one core for the server, another for the load" if section["pinned"] else "server and load share the cores"
    text = f"## Over HTTP\n\nGranian, one worker, HTTP/1; {where}. Load: {section['load']}.\n\n{table(head, rows)}"
    if section["sweep"]:
        columns = list(next(iter(section["sweep"].values())))
        lines = [
            [threads, *[figure(rates[name], "{:,.0f}") for name in columns]]
            for threads, rates in section["sweep"].items()
        ]
        text += f"\n{table(['blocking threads (hello)', *[name.capitalize() for name in columns]], lines)}"
    return text


def import_part(section: Results) -> str:
    """Return the table of the import times."""
    rows = [
        [
            f"`import {row['module']}`",
            figure(row["milliseconds"], "{:.1f}"),
            str(row["modules"]),
            ", ".join(row["heavy"]) or "none",
        ]
        for row in (section["flask"], section["quaff"])
    ]
    reached = "reached" if section["passed"] else "**not reached**"
    return (
        f"## Import\n\n{table(['', 'ms', 'modules', 'of these heavy'], rows)}\n"
        f"Quaff takes {section['share']:.0%} of Flask's time; the bar is {section['bar']:.0%}: {reached}."
    )


def scaling_part(section: Results) -> str:
    """Return the table of the cost by number of rules."""
    counts = list(section["rows"][0]["microseconds"]) if section["rows"] else []
    head = ["last rule of", "", *[f"{count} µs" for count in counts], "growth", "bar", "reached"]
    rows = [
        [
            f"{row['kind']} rules",
            row["contestant"].capitalize(),
            *[figure(row["microseconds"][count]) for count in counts],
            figure(row["growth"]["median"]),
            figure(row["bar"], "{:g}"),
            verdict(row["passed"]),
        ]
        for row in section["rows"]
    ]
    return f"## More rules\n\n{table(head, rows)}{failures(section)}"


def protocols_part(section: Results) -> str:
    """Return the tables of what is measured on an event loop: a table per rate, and one of memory."""
    where = "one core for the server, another for the load" if section["pinned"] else "server and load share the cores"
    text = f"## On an event loop\n\nOne worker, {section['loop']}; {where}.\n"
    for part in section["rows"]:
        text += f"\n### {opening(part['title'])}\n\nLoad: {part['load']}.\n\n{rates_table(part)}"
    if section["memory"]:
        rows = [
            [
                opening(row["title"]),
                f"{row['connections']:,}",
                figure(row["kilobytes"], "{:.1f}"),
                figure(row["bar"], "{:g}"),
                verdict(row["passed"]),
            ]
            for row in section["memory"]
        ]
        head = ["resident memory of the server", "connections", "KB each", "bar", "reached"]
        text += f"\n### Idle connections\n\n{table(head, rows)}"
    return text + failures(section)


def batteries_part(section: Results) -> str:
    """Return the tables of what extensions and batteries add: where they act, where they do not, and the rest."""
    rows = section["rows"]
    cases = [row for row in rows if row["kind"] == "case"]
    text = f"## Batteries\n\n{section['method']}\n"
    parts = (
        ("Where they act", added_table([row for row in cases if row["acts"]])),
        ("Where they have nothing to do", added_table([row for row in cases if not row["acts"]])),
        ("All of them in one app", together_table([row for row in rows if row["kind"] == "together"])),
        ("Cached pages and streams", others_table([row for row in rows if row["kind"] in {"cached", "stream"}])),
    )
    return text + "".join(f"\n### {title}\n\n{body}" for title, body in parts if body) + failures(section)


def added_table(cases: Sequence[Results]) -> str:
    """Return the table of what is added to a request, an empty string without rows."""
    if not cases:
        return ""
    acts = cases[0]["acts"]
    head = ["", "Flask µs", "extension adds µs", "calls", "Quaff µs", "battery adds µs", "calls"]
    head += [*(["share"] if acts else []), "bar", "reached"]
    rows = [
        [
            row["title"],
            *[
                cell
                for who in ("flask", "quaff")
                for cell in (figure(row["bare"][who]), figure(row["added"][who]), f"{row['calls'][who]:+}")
            ],
            *([figure(row["share"], "{:.3f}")] if acts else []),
            figure(row["bar"], "{:g}" if acts else "{:g} calls"),
            verdict(row["passed"]),
        ]
        for row in cases
    ]
    codecs = [
        f"{row['title'].partition(': ')[2]}: {figure(row['codec'])} µs, "
        f"share without it {figure(row['own_share'], '{:.3f}')}"
        for row in cases
        if row["codec"] is not None
    ]
    note = f"\nOf what both add, the codec by itself takes: {'; '.join(codecs)}. The bar is held without it.\n"
    return table(head, rows) + (note if codecs else "")


def together_table(rows: Sequence[Results]) -> str:
    """Return the table of all batteries in one app, an empty string without rows."""
    cells = [
        [
            row["title"],
            figure(row["bare"]["flask"]),
            figure(row["added"]["flask"]),
            figure(row["added"]["quaff"]),
            f"{row['calls']['quaff']:+}",
            figure(row["share"]),
            figure(row["bar"], "{:g}"),
            verdict(row["passed"]),
        ]
        for row in rows
    ]
    head = ["", "Flask alone µs", "extensions add µs", "batteries add µs", "calls"]
    return table([*head, "batteries / Flask alone", "bar", "reached"], cells) if cells else ""


def others_table(rows: Sequence[Results]) -> str:
    """Return the table of cached pages, in shares of hello, and of streams, in chunks; an empty string without rows."""
    cells = [
        [
            opening(row["title"]),
            f"{row['share']['median']:.2f} of hello" if row["kind"] == "cached" else f"after {row['chunks']}",
            figure(row["bar"], "{:g}"),
            verdict(row["passed"]),
        ]
        for row in rows
    ]
    return table(["", "", "bar", "reached"], cells) if cells else ""


def database_part(section: Results) -> str:
    """Return the table of the pages on databases."""
    head = ["", "Flask / s", "Quaff / s", "times as many", "bar", "Flask µs", "Quaff µs", "SQLAlchemy alone µs"]
    rows = [
        [
            row["title"],
            *[figure(row["rates"][name], "{:,.0f}") for name in ("flask", "quaff")],
            figure(row["http"]["median"]),
            figure(row["bar"], "{:g}"),
            *[figure(row["microseconds"][name], "{:,.0f}") for name in ("flask", "quaff", "bare")],
            figure(row["own"], "{:+.0%}"),
            figure(row["own_bar"], "{:.0%}"),
            verdict(row["passed"]),
        ]
        for row in section["rows"]
    ]
    columns = [*head, "Quaff's own", "bar", "reached"]
    return f"## Pages on a database\n\n{section['method']}\n\n{table(columns, rows)}{failures(section)}"


def rates_table(part: Results) -> str:
    """Return the table of one rate, with a row for each contestant."""
    rows = [
        [
            line["name"],
            line["server"],
            figure(line["rate"], "{:,.0f}"),
            figure(line["ratio"] and line["ratio"]["median"]),
            figure(line["bar"], "{:g}"),
            verdict(line["passed"]),
        ]
        for line in part["lines"]
    ]
    return table(["", "server", f"{part['unit']} a second", "Quaff, times as fast", "bar", "reached"], rows)


def failures(section: Results) -> str:
    """Return the list of what could not be measured, if there is any."""
    lines = [f"- not measured: {failure.splitlines()[0]}\n" for failure in section.get("failures", [])]
    return "\n" + "".join(lines) if lines else ""


def summary(everything: Sequence[Results]) -> str:
    """Return the short table for the README: the lines that have a bar, one column of ratios per interpreter."""
    measured = [results for results in everything if "in_process" in results]
    if not measured:
        return "Not measured yet: `make bench`.\n"
    newest = measured[0]
    head = ["", f"Flask µs ({newest['python']})", "Quaff µs"]
    head += [f"times faster, {results['implementation']} {results['python']}" for results in measured]
    ratios = [{row["name"]: row["ratio"]["median"] for row in results["in_process"]["rows"]} for results in measured]
    rows = [
        [
            row["title"],
            figure(row["microseconds"].get("flask"), "{:.1f}"),
            figure(row["microseconds"].get("quaff"), "{:.1f}"),
            *[figure(column.get(row["name"]), "{:.1f}") for column in ratios],
        ]
        for row in newest["in_process"]["rows"]
        if row["bar"] is not None
    ]
    machine = newest["in_process"].get("machine", newest["machine"])
    lines = f"{http_line(newest)}{protocols_line(newest)}{batteries_line(newest, machine)}"
    return f"{table(head, rows)}{lines}\n{machine}.\n"


def http_line(results: Results) -> str:
    """Return the HTTP figures as one sentence, nothing when they were not measured."""
    if "http" not in results:
        return ""
    page = results["http"]["pages"][0]
    rates = ", ".join(f"{name.capitalize()} {rate:,.0f}" for name, rate in page["rates"].items())
    return f"\nHello over HTTP on one core, requests a second: {rates}.\n"


def protocols_line(results: Results) -> str:
    """Return the rates of the async page as one sentence, nothing when they were not measured."""
    parts = [part for part in results.get("protocols", {}).get("rows", []) if part["name"] == "hello"]
    if not parts:
        return ""
    lines = parts[0]["lines"]
    names = [line["name"] for line in lines]

    def label(line: Results) -> str:
        name: str = line["name"]
        return name if names.count(name) == 1 else f"{name} ({line['server']})"

    rates = ", ".join(f"{label(line)} {line['rate']:,.0f}" for line in lines)
    return f"\nThe same from an `async def`, each on its usual server: {rates}.\n"


def batteries_line(results: Results, usual: str) -> str:
    """Return what all batteries together add as one sentence, nothing when it was not measured.

    :param usual: the machine that is named below; another one is named here.
    """
    rows = [row for row in results.get("batteries", {}).get("rows", []) if row["kind"] == "together"]
    if not rows:
        return ""
    added, flask = rows[0]["added"], rows[0]["bare"]["flask"]
    return (
        "\nCORS, security headers, a rate limit, trusted proxies, compression and a cache in one app add "
        f"{added['quaff']:.1f} µs to a request; Flask's extensions for the same add {added['flask']:.0f} µs, "
        f"and Flask alone takes {flask:.0f} µs{elsewhere(results, 'batteries', usual)}.\n"
    )


def fill_readme(path: Path, everything: Sequence[Results]) -> bool:
    """Put the summary between the markers in *path*; tell whether the file has them."""
    text = path.read_text(encoding="utf-8")
    before, found, rest = text.partition(START)
    _, closed, after = rest.partition(END)
    if not (found and closed):
        return False
    path.write_text(f"{before}{START}\n\n{summary(everything)}\n{END}{after}", encoding="utf-8")
    return True
