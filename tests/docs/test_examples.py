"""What the documentation shows is true: its programs run, its commands exist, its figures are the recorded ones."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import click
import pytest

from quaff.cli import cli
from tests.docs.pages import ROOT, blocks, commands, pages, run

PAGES = pages()
PYTHON_PAGES = [path for path in PAGES if any(blocks(path.read_text("utf-8"), "python", "pycon"))]
every_page = pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))


def _quaff_lines(text: str) -> list[str]:
    """Return the `quaff ...` command lines of a page, in console blocks and in configuration files."""
    found = [*commands(text), *re.findall(r"^ExecStart=(.*)", re.sub(r"\\\n\s*", "", text), re.MULTILINE)]
    return [line for line in found if re.match(r"(\S*/)?quaff( |$)", line)]


QUAFF_LINES = sorted({line for path in PAGES for line in _quaff_lines(path.read_text("utf-8"))})
MAKE_LINES = sorted({line for path in PAGES for line in commands(path.read_text("utf-8")) if line.startswith("make ")})


@pytest.mark.parametrize("path", PYTHON_PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_python_blocks_run(path: Path, tmp_path: Path) -> None:
    """Each Python block of the page runs, and each answer that the page shows is the real one."""
    runner = Path(__file__).with_name("pages.py")
    env = {name: value for name, value in os.environ.items() if not name.startswith("FLASK_")}
    done = subprocess.run(
        [sys.executable, str(runner), str(path)], capture_output=True, text=True, cwd=tmp_path, env=env, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_pages_are_found() -> None:
    """The pages that matter are among those that the tests read, and most of them hold programs."""
    names = {str(path.relative_to(ROOT)) for path in PAGES}
    assert {"README.md", "CONTRIBUTING.md", "docs/quickstart.md", "docs/from-flask.md", "docs/api/index.md"} <= names
    assert {"README.md", "docs/quickstart.md", "docs/from-flask.md"} <= {str(p.relative_to(ROOT)) for p in PYTHON_PAGES}


def test_wrong_examples_are_noticed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An answer that is not the real one fails the page, and a block that raises does too."""
    page = tmp_path / "page.md"
    page.write_text("```python\nimport math\n```\n\n```pycon\n>>> math.floor(1.5)\n2\n```\n")
    assert run(page) == 1
    assert "Expected" in capsys.readouterr().out
    page.write_text('```python\nraise KeyError("k")\n```\n')
    with pytest.raises(KeyError):
        run(page)


def test_a_program_starts_with_an_import(tmp_path: Path) -> None:
    """A block that starts with an import knows nothing of the blocks before it; others go on with them."""
    page = tmp_path / "page.md"
    programs = ["import math\na = 1", "assert a", "import re\nassert 'a' not in globals()"]
    page.write_text("".join(f"```python\n{program}\n```\n" for program in programs))
    assert run(page) == 0


@pytest.mark.parametrize("line", QUAFF_LINES)
def test_commands_exist(line: str) -> None:
    """Each `quaff` command that a page shows is one that the command line knows, with these options."""
    words = shlex.split(line)[1:]
    context = click.Context(cli, info_name="quaff")
    command: click.Command = cli
    while words:
        options = {name for param in command.get_params(context) for name in (*param.opts, *param.secondary_opts)}
        word = words.pop(0)
        if word.startswith("-"):
            name = word.partition("=")[0]
            assert name in options, f"{command.name} has no option {name}"
            takes_value = any(name in p.opts and not getattr(p, "is_flag", False) for p in command.get_params(context))
            if takes_value and "=" not in word and words:
                words.pop(0)
        elif isinstance(command, click.Group):
            found = command.get_command(context, word)
            if found is not None:
                command = found
            elif command is not cli or not word.partition(":")[0].endswith((".py", "app", "hello")):
                pytest.fail(f"{word!r} is no command of {command.name}")


@pytest.mark.parametrize("line", MAKE_LINES)
def test_make_targets_exist(line: str) -> None:
    """Each `make` command that a page shows names targets of the Makefile."""
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    asked = {word for word in shlex.split(line)[1:] if "=" not in word}
    assert asked <= targets


@every_page
def test_links_inside_the_project_lead_somewhere(path: Path) -> None:
    """Each relative link of the page leads to a file that exists."""
    text = re.sub(r"^(```+).*?^\1$", "", path.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
    links = [link for link in re.findall(r"\]\(<?([^)>\s#]+)", text) if not re.match(r"[a-z]+:", link)]
    missing = [link for link in links if not (path.parent / link).exists()]
    assert missing == []


@every_page
def test_language_of_blocks(path: Path) -> None:
    """Each fenced block says what it is, so that none escapes these tests by accident."""
    text = path.read_text("utf-8")
    known = {"python", "pycon", "console", "text", "ini", "nginx", "toml", "make", "html", "{eval-rst}", "{include}"}
    opened = re.findall(r"^```([\w{}-]*)[^\n]*\n.*?^```$", text, re.MULTILINE | re.DOTALL)
    assert set(opened) <= known


def test_every_old_behaviour_is_documented() -> None:
    """Each name that the source looks for in `COMPAT` stands in the table of the page for Flask users, and no other."""
    used = set()
    sources = [path.read_text("utf-8") for path in (ROOT / "src" / "quaff").rglob("*.py")]
    # The name itself, or a constant that stands for it.
    pattern = re.compile(r'^([A-Z_]+)(?:: Final)? = "([a-z]+(?:-[a-z]+)+)"$', re.MULTILINE)
    constants = {name: value for source in sources for name, value in pattern.findall(source)}
    for source in sources:
        used |= set(re.findall(r'"([a-z]+(?:-[a-z]+)+)" (?:not )?in [^:\n]*compat', source, re.IGNORECASE))
        used |= {
            constants[name]
            for name in re.findall(r"\b([A-Z_]+) (?:not )?in [^:\n]*compat", source, re.IGNORECASE)
            if name in constants
        }
    page = (ROOT / "docs" / "from-flask.md").read_text("utf-8")
    table = page[page.index("## Old behaviour") : page.index("## What is not there")]
    assert set(re.findall(r"^\| `([a-z-]+)` \|", table, re.MULTILINE)) == used
    assert "redirect-any" in used
