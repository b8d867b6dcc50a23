"""What the README says is true: every command in it runs."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from typer.main import get_command

from tapefold.cli import app
from tapefold.settings import Settings

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"```sh\n(.*?)```", README, re.DOTALL)
COMMANDS = [line.split("  #")[0].strip() for block in BLOCKS for line in block.splitlines() if line.strip()]
TAPEFOLD = [command for command in COMMANDS if command.startswith(".venv/bin/tapefold")]


@pytest.fixture(scope="module")
def state_dir(tmp_path_factory):
    """One folder for all commands, in the order of the README."""
    return tmp_path_factory.mktemp("readme")


def test_the_readme_opens_with_the_two_commands():
    """A new user's first lines."""
    assert ["make demo", "make test"] == [command.split("  ")[0] for command in COMMANDS[:2]]


@pytest.mark.parametrize("command", TAPEFOLD)
def test_a_command_of_the_readme_runs(command, state_dir):
    """Each ends with 0; those that ask print an answer."""
    arguments = shlex.split(command)[1:]
    environment = {**os.environ, "TAPEFOLD_STATE_DIR": str(state_dir)}
    run = subprocess.run(
        [sys.executable, "-m", "tapefold", *arguments],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    assert run.stdout


def test_the_demo_prints_what_it_recorded_and_three_answers(tmp_path):
    """Exact figures of the shipped market days, computed from the files."""
    run = subprocess.run(
        [sys.executable, "-m", "tapefold", "demo", "--once", "--state-dir", str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
        env={**os.environ, "COLUMNS": "200"},
    )
    assert run.returncode == 0, run.stdout + run.stderr
    assert "1573" in run.stdout  # 664 trades of New York and 909 of Miami
    assert 4 == len(re.findall(r"^  SELECT", run.stdout, re.MULTILINE))


def test_every_make_target_that_the_texts_name_is_there():
    """`make X` in README, CHANGELOG and ARCHITECTURE names a target of the Makefile."""
    makefile = (ROOT / "Makefile").read_text()
    texts = "".join((ROOT / name).read_text() for name in ("README.md", "CHANGELOG.md", "ARCHITECTURE.md"))
    named = set(re.findall(r"make ([a-z]+)`", texts))
    assert named
    assert set() == {target for target in named if not re.search(rf"^{target}:", makefile, re.MULTILINE)}


def test_every_command_is_named_in_the_texts_and_has_help():
    """A command nobody can read of is not finished."""
    texts = README + (ROOT / "CHANGELOG.md").read_text()
    commands = get_command(app)
    names = commands.list_commands(None)
    assert "up" in names
    for name in names:
        assert commands.get_command(None, name).help, name
        assert f"tapefold {name}" in texts, name


def test_files_that_the_readme_links_are_there():
    """No link leads nowhere."""
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        if not target.startswith("http"):
            assert (ROOT / target).exists(), target


def test_variables_that_the_readme_names_are_settings():
    """What a user is told to set is read."""
    named = set(re.findall(r"\b(KALSHI_[A-Z_]+|KAFKA_[A-Z_]+|CLICKHOUSE_[A-Z_]+|WEBHOOK_[A-Z_]+)\b", README))
    assert named <= {name.upper() for name in Settings.model_fields}
