"""Options are refused before anything is started."""

import pytest
from typer.testing import CliRunner

from tapefold.cli import app


@pytest.mark.parametrize("option", ["--frames", "--archive"])
def test_a_recording_that_is_not_there_is_refused_before_a_broker_is_started(tmp_path, option):
    """The state folder stays absent."""
    absent = tmp_path / "absent.ndjson"
    told = CliRunner().invoke(app, ["up", option, str(absent), "--state-dir", str(tmp_path / "state")])
    assert 2 == told.exit_code
    assert f"'{option}'" in told.output
    assert not (tmp_path / "state").exists()
