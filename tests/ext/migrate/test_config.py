"""Alembic's configuration, made for one command."""

from __future__ import annotations

import io
import sys
from contextlib import redirect_stdout
from pathlib import Path

import alembic

from quaff.ext import migrate
from quaff.ext.migrate.config import Config, alembic_version, make_config, set_script_location


def test_it_is_alembics() -> None:
    """It is a subclass, so that what takes Alembic's takes it; the package gives it on first use."""
    assert issubclass(Config, alembic.config.Config)
    assert migrate.Config is Config


def test_output_goes_where_it_goes_now() -> None:
    """What is printed goes to the output of the moment, not to that of Alembic's import; a given one is kept."""
    captured = io.StringIO()
    with redirect_stdout(captured):
        Config().print_stdout("hello")
    assert captured.getvalue() == "hello\n"
    assert Config(stdout=sys.stderr).stdout is sys.stderr


def test_templates(tmp_path: Path) -> None:
    """The templates are Quaff's, or in the folder that is given."""
    assert Path(Config().get_template_directory(), "flask", "env.py").is_file()
    assert Config(template_directory=str(tmp_path)).get_template_directory() == str(tmp_path)


def test_one_command(tmp_path: Path) -> None:
    """The options of a command are where `env.py` looks for them."""
    config = make_config(str(tmp_path), ["a=1"], ["autogenerate"])
    assert config.config_file_name == str(tmp_path / "alembic.ini")
    assert config.get_main_option("script_location") == str(tmp_path)
    assert config.cmd_opts is not None
    assert vars(config.cmd_opts) == {"x": ["a=1"], "autogenerate": True}


def test_a_per_cent_sign_is_no_interpolation() -> None:
    """The folder is found whatever its name is."""
    config = Config()
    set_script_location(config, "100%(here)s")
    assert config.get_main_option("script_location") == "100%(here)s"


def test_the_version_is_numbers() -> None:
    """`alembic_version` compares as a tuple."""
    assert alembic_version >= (1, 16)
    assert migrate.alembic_version == alembic_version
