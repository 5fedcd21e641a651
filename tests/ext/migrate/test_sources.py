"""Files with models are found without being imported."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from quaff.ext.migrate.sources import Source, project_folder, scan


def scanned(folder: Path, text: str) -> list[Source]:
    """Return what is found in a folder with one file."""
    (folder / "a.py").write_text(text, encoding="utf-8")
    return scan(str(folder))


@pytest.mark.parametrize(
    "text,models",
    [
        ("class User(db.Model): pass", ("User",)),
        ("class User(database.Model, Mixin): pass", ("User",)),
        ("class User(Base):\n    __tablename__ = 'user'", ("User",)),
        ("def make():\n    class User(db.Model): pass", ("User",)),
        ("links = db.Table('links', db.Column('id'))", ("links",)),
        ("links = Table('links', metadata)", ("links",)),
    ],
)
def test_models(tmp_path: Path, text: str, models: tuple[str, ...]) -> None:
    """Models and tables are known by what they look like."""
    (source,) = scanned(tmp_path, text)
    assert source.models == models
    assert not source.is_imported


@pytest.mark.parametrize(
    "text",
    [
        "class Base(db.Model):\n    __abstract__ = True",
        "class Model: pass",
        "class View(Model): pass",
        "t = Table(rows)",
        "import Model, create_all",
        "class Model(db.Model",
    ],
)
def test_no_models(tmp_path: Path, text: str) -> None:
    """What has no table is none, and a file that is not Python is passed over."""
    assert scanned(tmp_path, text) == []


def test_create_all(tmp_path: Path) -> None:
    """Calls of `create_all` are found with their lines."""
    (source,) = scanned(tmp_path, "def setup():\n    db.create_all()\n\nBase.metadata.create_all(engine)\n")
    assert source.create_all == (2, 4)


def test_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that a module was loaded from counts as imported, by whatever name."""
    (tmp_path / "models_for_sources.py").write_text("class db:\n    class Model: ...\nclass A(db.Model): pass\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "models_for_sources", raising=False)
    importlib.import_module("models_for_sources")
    (source,) = scan(str(tmp_path))
    assert source.is_imported
    sys.modules.pop("models_for_sources")


def test_skipped_folders(tmp_path: Path) -> None:
    """Environments, hidden folders and what the caller names are left out."""
    for name in ("mine", "venv", ".tox", "own", "skipped"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "m.py").write_text("class A(db.Model): pass")
    (tmp_path / "own" / "pyvenv.cfg").touch()
    (source,) = scan(str(tmp_path), skip=(str(tmp_path / "skipped"),))
    assert source.path.endswith("mine/m.py")


def test_the_folder_of_a_project(tmp_path: Path) -> None:
    """It is that of the outermost package, or that of the module."""
    inner = tmp_path / "shop" / "web"
    inner.mkdir(parents=True)
    assert project_folder(SimpleNamespace(root_path=str(inner))) == str(inner)
    (inner / "__init__.py").touch()
    assert project_folder(SimpleNamespace(root_path=str(inner))) == str(inner)
    (tmp_path / "shop" / "__init__.py").touch()
    assert project_folder(SimpleNamespace(root_path=str(inner))) == str(tmp_path / "shop")
