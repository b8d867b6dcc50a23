"""Tidiness: limits of size, what may not be caught, what may not be said. Each message names the way out."""

import ast
import re
import subprocess
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
MODULE_LINES_MAX = 400
FUNCTION_LINES_MAX = 60
LINE_CHARS_MAX = 144  # the formatter wraps code at 120; prose and literals may stand over by a fifth

# Where anything at all may be caught, and why; (module, function).
CATCHES_ALL = {
    ("tapefold/local/store/handler.py", "_serve"): "the top of a request: the client is told whatever it was",
    ("tapefold/local/kafka.py", "_start_new"): "raises on; a broker that did not come up must not live on",
    ("tapefold/manifests.py", "kept"): "raises on; a run that breaks off leaves its reason",
    ("tapefold/local/store/process.py", "start"): "raises on; a store that did not come up must not live on",
    ("tests/contracts/test_store_queries.py", "work"): "of a thread: the test raises it",
    ("tests/sinks/test_migrate.py", "run"): "of a thread: the test raises it",
    ("tests/support/sink_rig.py", "_run"): "of a thread: the test raises it",
}

# Words that point to where a reader of this repository cannot go.
_NOTES = "design|contracts|reliability|requirements|style"
_HOSTS = r"pypi\.org|files\.pythonhosted\.org|repo1\.maven\.org|registry\.npmjs"
BANNED = {
    rf"\b({_NOTES})\.md\b": "say it here, or in ARCHITECTURE.md",
    r"(?<!\.\./)\bshared/|\.\./shared/(?!data\b)": "only tests may read ../shared/data, and skip where it is absent",
    r"\bthe brief\b|\breliability notes\b|\((?:[FR]\d{1,2}(?:, )?)+[:)]": "say what was measured or agreed, here",
    r"\bthe issue\b|\bcolleagues?\b|\bhelpers?\b": "name the thing itself",
    rf"\b({_HOSTS})\b": "packages come from wherever the user's own tools get them",
    r"(?<![\w.~])/(work|root)/|/tmp/tf": "paths start at the repository's root, a folder of the user's, or tmp_path",
}
SELF = "tests/test_tidy.py"


@cache
def tracked() -> tuple[str, ...]:
    """Every file under version control that is there, by its path from the root."""
    if not (ROOT / ".git").exists():
        pytest.skip("needs the repository: outside of it nobody says which files are ours")
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True, text=True).stdout
    return tuple(name for name in listed.split("\0") if name and (ROOT / name).is_file())


def texts() -> list[tuple[str, str]]:
    """Path and content of every text file."""
    found = []
    for name in tracked():
        content = (ROOT / name).read_bytes()
        if b"\0" not in content[:8_000]:
            found.append((name, content.decode("utf-8", "replace")))
    return found


def trees() -> list[tuple[str, str, ast.Module]]:
    """Path, content and syntax of every Python file."""
    return [(name, content, ast.parse(content)) for name, content in texts() if name.endswith(".py")]


def functions(tree: ast.AST) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    """All functions, inner ones and methods included."""
    return [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]


def is_broad(node: ast.AST) -> bool:
    """Whether this catches everything: a bare except, Exception, BaseException, or `suppress` of one of these."""
    if isinstance(node, ast.ExceptHandler):
        caught = [node.type] if not isinstance(node.type, ast.Tuple) else node.type.elts
        return any(one is None or (isinstance(one, ast.Name) and one.id in _EVERYTHING) for one in caught)
    if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("suppress"):
        return any(isinstance(one, ast.Name) and one.id in _EVERYTHING for one in node.args)
    return False


_EVERYTHING = {"Exception", "BaseException"}


def listed(problems: list[str], remedy: str) -> None:
    """Fail with all problems, one a line, and what to do about them."""
    assert [] == problems, "\n".join([*problems, f"-> {remedy}"])


def test_modules_are_short():
    """What does not fit is two things, and each of them has a name."""
    long = [f"{name}: {text.count(chr(10))} lines" for name, text, _ in trees() if text.count("\n") > MODULE_LINES_MAX]
    listed(long, f"at most {MODULE_LINES_MAX} lines: give a part that can be named a module of its own")


def test_functions_are_short():
    """A function fits on a screen."""
    long = []
    for name, _, tree in trees():
        for function in functions(tree):
            lines = (function.end_lineno or 0) - function.lineno + 1
            if lines > FUNCTION_LINES_MAX:
                long.append(f"{name}:{function.lineno} {function.name}: {lines} lines")
    listed(long, f"at most {FUNCTION_LINES_MAX} lines: take a step out of it and name it")


def test_lines_are_short():
    """The formatter wraps code and leaves prose alone."""
    long = [
        f"{name}:{number}: {len(line)} characters"
        for name, text, _ in trees()
        for number, line in enumerate(text.splitlines(), 1)
        if len(line) > LINE_CHARS_MAX
    ]
    listed(long, f"at most {LINE_CHARS_MAX} characters: wrap the comment, the docstring or the literal")


def test_nothing_catches_everything():
    """An error that nobody expected stops the process; the log repeats what was not done."""
    broad = set()
    for name, _, tree in trees():
        for function in functions(tree):
            inner = {id(node) for other in functions(function) if other is not function for node in ast.walk(other)}
            if any(is_broad(node) and id(node) not in inner for node in ast.walk(function)):
                broad.add((name, function.name))
        within = {id(node) for function in functions(tree) for node in ast.walk(function)}
        if any(is_broad(node) and id(node) not in within for node in ast.walk(tree)):
            broad.add((name, "<module>"))
    listed(
        [f"{name} {function}" for name, function in sorted(broad - CATCHES_ALL.keys())],
        "catch what you expect; only the top of a process or a request may do this, with its reason in CATCHES_ALL",
    )
    assert CATCHES_ALL.keys() == broad, "take out of CATCHES_ALL what is gone"


@pytest.mark.parametrize("pattern", BANNED, ids=BANNED.get)
def test_nothing_points_outside_of_the_repository(pattern):
    """Who has the repository has all that its words speak of."""
    found = [
        f"{name}:{text.count(chr(10), 0, match.start()) + 1}: {match.group()}"
        for name, text in texts()
        if name != SELF
        for match in re.finditer(pattern, text, re.IGNORECASE)
    ]
    listed(found, BANNED[pattern])


def test_only_tests_read_data_beside_the_repository():
    """The product needs nothing but itself."""
    found = [name for name, text in texts() if "../shared/data" in text and not name.startswith("tests/")]
    listed(found, BANNED[r"(?<!\.\./)\bshared/|\.\./shared/(?!data\b)"])


def test_every_test_says_what_holds():
    """The docstring of a test is a sentence about behaviour: it begins like one and ends like one."""
    silent = []
    for name, _, tree in trees():
        if not name.startswith("tests/"):
            continue
        for function in functions(tree):
            said = ast.get_docstring(function) or ""
            if function.name.startswith("test_") and not re.fullmatch(r"[^a-z\s].*[.?!]", said, re.DOTALL):
                silent.append(f"{name}:{function.lineno} {function.name}: {said[:60]!r}")
    listed(silent, "say in a sentence what holds, and why it matters")


def test_this_test_sees_what_it_forbids():
    """Each rule finds an offender that is made for it."""
    for source in ("except:", "except Exception:", "except (ValueError, BaseException) as e:"):
        tree = ast.parse(f"try:\n    pass\n{source}\n    pass")
        assert any(is_broad(node) for node in ast.walk(tree))
    assert any(is_broad(node) for node in ast.walk(ast.parse("contextlib.suppress(KeyError, Exception)")))
    assert not any(is_broad(node) for node in ast.walk(ast.parse("try:\n    pass\nexcept OSError:\n    raise")))
    offenders = (
        "see style.md",
        "read shared/data",
        "Helper",
        "https://pypi.org/simple",
        "/work/main",
        "/tmp/tf1",
        "so it is (F13, R2)",
    )
    for offender in offenders:
        assert any(re.search(pattern, offender, re.IGNORECASE) for pattern in BANNED)
    for fine in ("ARCHITECTURE.md", "../shared/data/kalshi-ws", "benchmarks/work/x", "~/root/x", "issues"):
        assert not any(re.search(pattern, fine, re.IGNORECASE) for pattern in BANNED)
