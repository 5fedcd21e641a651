"""What `importlib.metadata` says about Flask."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path
from types import ModuleType

import pytest

from .conftest import Run


@pytest.mark.parametrize("name", ["flask", "Flask", "FLASK"])
def test_version(flask: ModuleType, name: str) -> None:
    """Extensions that ask for Flask's version get that of the Flask whose API Quaff has."""
    assert metadata.version(name) == "3.1.3"


def test_distribution(flask: ModuleType) -> None:
    """The distribution has a name, metadata, an entry point, and needs Quaff."""
    found = metadata.distribution("flask")
    assert found.name == "Flask"
    assert found.metadata["Version"] == "3.1.3"
    assert found.requires == ["quaff"]
    assert [(entry.group, entry.name, entry.value) for entry in found.entry_points] == [
        ("console_scripts", "flask", "flask.cli:main")
    ]
    assert found.files is None
    assert found.read_text("RECORD") is None
    assert Path(str(found.locate_file("quaff/__init__.py"))).is_file()


def test_the_entry_point_is_the_command_line(flask: ModuleType) -> None:
    """What the console script `flask` loads is Quaff's command line."""
    from quaff.cli import main

    (entry,) = [entry for entry in metadata.entry_points(group="console_scripts") if entry.name == "flask"]
    assert entry.load() is main


def test_other_distributions_are_there(flask: ModuleType) -> None:
    """All other packages, and their entry points, are found as before."""
    assert metadata.version("werkzeug").startswith("3.")
    assert metadata.version("quaff")
    assert "quaff" in {entry.name for entry in metadata.entry_points(group="console_scripts")}
    with pytest.raises(metadata.PackageNotFoundError):
        metadata.version("flask-that-nobody-wrote")


def test_listing_all(flask: ModuleType) -> None:
    """A list of everything that is installed has Flask in it, ours first."""
    listed = [found for found in metadata.distributions() if found.name.lower() == "flask"]
    assert listed[0].version == "3.1.3"
    assert metadata.packages_distributions()["flask"][0] == "Flask"


def test_a_search_in_one_folder(flask: ModuleType, tmp_path: Path) -> None:
    """Who looks into one folder, as pip does, is told what is in it."""
    folder = tmp_path / "flask-1.0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: flask\nVersion: 1.0\n", encoding="utf-8")
    found = [entry.version for entry in metadata.distributions(name="flask", path=[str(tmp_path)])]
    assert found == ["1.0"]


def test_it_wins_over_an_installed_flask(flask: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With another Flask on the path, version and entry points are still those of the alias."""
    folder = tmp_path / "flask-0.12.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: flask\nVersion: 0.12\n", encoding="utf-8")
    (folder / "entry_points.txt").write_text("[console_scripts]\nflask = somewhere:else\n", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    assert metadata.version("flask") == "3.1.3"
    commands = [entry.value for entry in metadata.entry_points(group="console_scripts") if entry.name == "flask"]
    assert commands == ["flask.cli:main"]


def test_metadata_is_not_loaded_for_nothing(run_python: Run) -> None:
    """Installing the alias does not load `importlib.metadata`, which costs more than all the rest."""
    code = "import sys; import quaff; quaff.install_as_flask(); print('importlib.metadata' in sys.modules)"
    assert run_python("-c", code).stdout.strip() == "False"
