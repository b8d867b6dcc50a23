"""The core reads no clock and rolls no dice: what it says depends on its arguments alone, so that replay equals live.

Import rules forbid the modules; these tests look at what is called, and name the function that calls it.
"""

import ast
import sys
import tomllib
import types
from pathlib import Path

import pytest
import tape

ROOT = Path(__file__).resolve().parents[1]
RULES = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
(CORE,) = (rule["source_modules"] for rule in RULES if rule["name"] == "the core does no I/O and reads no clock")
AMBIENT = {
    "time": {"*"},
    "random": {"*"},
    "secrets": {"*"},
    "datetime": {"now", "utcnow", "today"},
    "date": {"today"},
    "uuid": {"uuid1", "uuid4"},
    "os": {"urandom", "getrandom", "times", "getpid", "environ", "getenv"},
}
FOLD = [name for name in CORE if name.startswith("stream_processors.")]


def modules(names):
    """The files of modules and packages."""
    for name in names:
        path = ROOT / name.replace(".", "/")
        yield from [path.with_suffix(".py")] if path.with_suffix(".py").exists() else sorted(path.rglob("*.py"))


def ambient(source, name):
    """`module:function: expression` for each read of a clock, of chance or of the process in a module's source."""
    tree = ast.parse(source)
    taken = {
        alias.asname or alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module in AMBIENT
        for alias in node.names
        if AMBIENT[node.module] & {"*", alias.name}
    }
    renamed = {
        alias.asname or alias.name: alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.Import)
        for alias in node.names
        if alias.name in AMBIENT
    }
    found = []
    for function in [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]:
        for node in ast.walk(function):
            if isinstance(node, ast.Attribute):
                owner = ast.unparse(node.value).rpartition(".")[2]
                forbidden = AMBIENT.get(renamed.get(owner, owner), set())
                bad = node.attr in forbidden or ("*" in forbidden and owner in renamed)
            else:
                bad = isinstance(node, ast.Name) and node.id in taken
            if bad:
                found.append(f"{name}:{function.name}: {ast.unparse(node)}")
    return found


@pytest.mark.parametrize("module", CORE)
def test_the_core_reads_nothing_ambient(module):
    """The message names the function and what it reads."""
    found = [
        line for path in modules([module]) for line in ambient(path.read_text(), path.relative_to(ROOT).as_posix())
    ]
    assert [] == found, f"{found}\n-> the time is an argument, or a beat"


def clock_readers(act):
    """Functions of the fold that call into `time`, `random` or a clock of `datetime` while `act` runs."""
    ours = {str(path) for path in modules(FOLD)} | {"<injected>"}
    readers = set()

    def watch(frame, event, called):
        if event != "c_call" or frame.f_code.co_filename not in ours:
            return
        module, name = getattr(called, "__module__", None), getattr(called, "__name__", "")
        if module in {"time", "_random"} or name in {"now", "utcnow", "today", "urandom", "uuid4"}:
            readers.add(f"{frame.f_code.co_filename}:{frame.f_code.co_qualname}: {name}")

    sys.setprofile(watch)
    try:
        act()
    finally:
        sys.setprofile(None)
    return readers


def test_the_fold_of_a_tape_calls_no_clock():
    """Whatever name a clock goes by: nothing in the fold calls one, seen while it runs."""
    made = tape.tape(1, steps=150)
    assert set() == clock_readers(lambda: tape.fold(made))


@pytest.mark.parametrize(
    ("line", "head"),
    [
        ("state.known_ns = time.time_ns()", "import time"),
        ("state.known_ns = stamp()", "from time import time_ns as stamp"),
        ("state.known_ns = int(datetime.datetime.now().timestamp())", "import datetime"),
        ("state.known_ns = clock.monotonic_ns()", "import time as clock"),
    ],
)
def test_an_operator_that_reads_the_clock_is_named(line, head):
    """The bars operator with one line more: both tests find it, and say in which function it stands."""
    source = (ROOT / "stream_processors/operators/bars.py").read_text()
    marker = "def close_early(market: Market, minute: int, heard: Heard, state: Minute) -> None:\n"
    start = source.index(marker) + len(marker)
    end = source.index("\n", start) + 1
    leaking = f"{head}\n" + source[:end] + f"    {line}\n" + source[end:]
    assert any("close_early" in found for found in ambient(leaking, "bars.py"))
    module = types.ModuleType("leaking")
    sys.modules["leaking"] = module
    exec(compile(leaking, "<injected>", "exec"), module.__dict__)
    readers = clock_readers(lambda: module.close_early(module.Market(), 1, lambda _: (-1, True), module.Minute()))
    del sys.modules["leaking"]
    assert ["<injected>:close_early"] == sorted({reader.rpartition(":")[0] for reader in readers})
