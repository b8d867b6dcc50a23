"""One door for each thing outside: who may open it stands here, and nobody else may."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("topics", "producers", "stream_processors", "sinks", "tapefold")
KALSHI = "tapefold/simulators/kalshi"

# Library -> the modules that import it. Whoever needs more of it adds to its door, or names a second one here.
DOORS = {
    "chdb": {"tapefold/local/store/engine.py"},
    "clickhouse_connect": {"sinks/tables.py"},
    "confluent_kafka": {"topics/kafka.py", "topics/storer.py"},
    "faust": {"stream_processors/app.py", "stream_processors/transport.py"},
    "httpx": {"producers/kalshi/rest/door.py", "producers/iem/door.py", "producers/rag/door.py"},
    "ib_async": {"producers/tws/client.py"},
    "prometheus_client": {"producers/webhook/counts.py"},
    "pydantic_settings": {"tapefold/settings.py"},
    "sqlite3": {"producers/webhook/markers.py"},
    "starlette": {"producers/webhook/door.py", "tapefold/simulators/iem/server.py"},
    "typer": {  # the command line, one module for each part of it
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "tapefold").glob("cli*.py")
        if "import typer" in path.read_text()
    },
    "uvicorn": {"producers/webhook/door.py", "tapefold/simulators/iem/server.py"},
    "websockets": {"producers/kalshi/socket.py", f"{KALSHI}/server.py", f"{KALSHI}/link.py"},
}

# The environment of the process. Everything that a user may set is read in `settings`; the others say why.
ENVIRONMENT = {
    "tapefold/settings.py",
    "tapefold/begin.py",  # TAPEFOLD_PARENT_PID, which our own supervisor sets for its children and no user does
    "tapefold/local/jars.py",  # XDG_CACHE_HOME and JAVA_HOME: conventions of the machine, not settings of ours
    "tapefold/local/store/process.py",  # handed on whole to a child
}
WALL_CLOCK = {"tapefold/wiring.py"}
PROCESSES = {  # who may look at other processes or end them through `os`
    "stream_processors/app.py",  # os._exit: Faust would commit what it has not folded on an ordinary way out
    "tapefold/local/store/server.py",  # os.kill, of itself
    "tapefold/wiring.py",  # os._exit: a failpoint ends the process as kill -9 would
    "tapefold/services.py",  # os.getppid and os.kill, of itself: a service follows its parent
}


def modules() -> Iterator[tuple[str, ast.Module]]:
    """Every module of the five packages, by its path from the root."""
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            yield path.relative_to(ROOT).as_posix(), ast.parse(path.read_text())


def imports(tree: ast.Module) -> set[str]:
    """Top-level names of all that a module imports, wherever in it."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module)
    return {name.partition(".")[0] for name in names}


def uses(tree: ast.Module, module: str, *names: str) -> bool:
    """Whether a module says `module.name` or imports one of the names from it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr in names:
            if ast.unparse(node.value).rpartition(".")[2] == module:
                return True
        elif isinstance(node, ast.ImportFrom) and node.module == module:
            if any(alias.name in names for alias in node.names):
                return True
        elif isinstance(node, ast.Import) and any(alias.name == module and alias.asname for alias in node.names):
            return True  # under another name we would not see what it is used for
    return False


def users(module: str, *names: str) -> set[str]:
    """The modules of ours that use one of the names."""
    return {path for path, tree in modules() if uses(tree, module, *names)}


@pytest.mark.parametrize("library", DOORS)
def test_one_door_for_each_library(library):
    """Only its door imports it, and the door does."""
    assert DOORS[library] == {path for path, tree in modules() if library in imports(tree)}


def test_the_environment_is_read_in_the_settings():
    """What a user may set is found in one place, with its meaning."""
    assert ENVIRONMENT == users("os", "environ", "environb", "getenv", "getenvb", "putenv", "unsetenv")


def test_the_wall_clock_is_read_in_the_wiring():
    """Everywhere else the time is an argument; that is why a replay says what the live run said."""
    assert WALL_CLOCK == users("time", "time", "time_ns", "gmtime", "localtime", "ctime")
    assert set() == users("datetime", "now", "utcnow", "today")


def test_few_modules_end_processes():
    """A stop is asked for, and each place that ends a process says why there."""
    assert PROCESSES == users("os", "kill", "killpg", "_exit", "abort", "getppid", "fork")


@pytest.mark.parametrize("name", PACKAGES)
def test_our_packages_are_those_of_this_tree(name):
    """Their names are common words: an installed package of the same name must not stand before ours."""
    assert ROOT == Path(import_module(name).__file__).resolve().parents[1]


def test_this_test_sees_what_it_forbids():
    """Imports within functions, names taken out of a module, modules under other names."""
    assert {"faust"} == imports(ast.parse("def f():\n    from faust.app import App"))
    assert {"chdb"} == imports(ast.parse("import chdb.session as s"))
    for source in ("import os\nos.environ['A']", "from os import environ as e", "import os as o"):
        assert uses(ast.parse(source), "os", "environ", "getenv")
    assert not uses(ast.parse("import os\nos.getpid()"), "os", "environ", "getenv")


HEAVY = {"aiohttp", "chdb", "clickhouse_connect", "faust", "ib_async", "numpy", "pyarrow", "starlette", "uvicorn"}
# Command -> heavy libraries that it loads before it does anything; of all others none.
LOADED = {
    "run ws": set(),
    "run rest": set(),
    "run tws": set(),
    "run broker": set(),
    "run store": set(),
    "run ingest": {"aiohttp", "faust"},
    "run fold": {"aiohttp", "faust"},
    "run sink": {"clickhouse_connect", "numpy", "pyarrow"},
    "sql": {"clickhouse_connect", "numpy", "pyarrow"},
    "simulate kalshi": set(),
    # A group loads all of its commands for their first lines; the store's engine and TWS's client are in none of them.
    "": HEAVY - {"aiohttp", "chdb", "faust", "ib_async"},
    "run": HEAVY - {"chdb", "ib_async"},
    "simulate": HEAVY - {"aiohttp", "chdb", "faust", "ib_async"},
}


@pytest.mark.parametrize("command", LOADED)
def test_a_command_loads_what_it_needs(command):
    """All of it together is 1.5 s of a processor and 100 MB (and 200 MB for the store's engine), of each of a dozen services."""
    told = (
        "import sys; from typer.testing import CliRunner; from tapefold.cli import app;"
        " done = CliRunner().invoke(app, [*sys.argv[1].split(), '--help']); print(done.exit_code, *sys.modules)"
    )
    ran = subprocess.run(
        [sys.executable, "-c", told, command], cwd=ROOT, timeout=60, check=True, capture_output=True, text=True
    )
    exit_code, *loaded = ran.stdout.split()
    assert "0" == exit_code
    assert LOADED[command] == HEAVY & set(loaded)
