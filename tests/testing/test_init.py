"""What `quaff.testing` exports."""

from __future__ import annotations

from quaff import testing


def test_flasks_names_are_there() -> None:
    """Programs import these from flask.testing."""
    for name in ("EnvironBuilder", "FlaskClient", "FlaskCliRunner"):
        assert name in testing.__all__
        assert isinstance(getattr(testing, name), type)
