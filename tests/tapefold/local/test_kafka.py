"""The embedded Kafka: real brokers, asked by a real client.

The tests of the shared broker run in the order of the file and each leaves it running.
"""

# the expected value stands on the left, by the rule of this repo

import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil  # type: ignore[import-untyped,unused-ignore]  # untyped unless types-psutil is there
import pytest
from confluent_kafka import Consumer, Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from tapefold.local.errors import AlreadyRunning, DownloadFailed, NoDiskSpace, PortTaken, ServiceDied, StartFailed
from tapefold.local.jars import KAFKA_VERSION, ensure_jars, find_java
from tapefold.local.kafka import LocalKafka, running, stop
from tapefold.local.kafka_files import RECORD_BYTES_MAX, broker_command, configuration, format_command
from tapefold.local.state import FolderLock, Runtime, port_free

TOPIC = "ticks"


@pytest.fixture(scope="module")
def state_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state folder of an awkward name."""
    # A name that a list of folders, a properties file and a shell would each stumble on.
    return tmp_path_factory.mktemp("state") / "zwei, drei = ünf"


@pytest.fixture(scope="module")
def kafka(state_dir: Path) -> Iterator[LocalKafka]:
    """The broker of this file, with one topic of one partition."""
    with LocalKafka(state_dir, heap_mb=256) as broker:
        admin = AdminClient({"bootstrap.servers": broker.address.bootstrap})
        topic = NewTopic(TOPIC, 1, 1, config={"cleanup.policy": "delete"})
        admin.create_topics([topic])[TOPIC].result(20)
        yield broker


def write(kafka: LocalKafka, value: bytes) -> int:
    """Writes one record and returns its offset."""
    offsets: list[int | None] = []
    settings = {"bootstrap.servers": kafka.address.bootstrap, "message.max.bytes": RECORD_BYTES_MAX}
    producer = Producer(settings)
    producer.produce(
        TOPIC, value, on_delivery=lambda error, message: offsets.append(None if error else message.offset())
    )
    assert 0 == producer.flush(20)
    assert offsets[0] is not None
    return offsets[0]


def read_all(kafka: LocalKafka) -> list[bytes]:
    """All values of the topic."""
    consumer = Consumer({"bootstrap.servers": kafka.address.bootstrap, "group.id": "test", "enable.auto.commit": False})
    consumer.assign([TopicPartition(TOPIC, 0, 0)])
    _, end = consumer.get_watermark_offsets(TopicPartition(TOPIC, 0), timeout=20)
    messages: list[Message] = []
    while len(messages) < end:
        messages += consumer.consume(end - len(messages), timeout=10)
    consumer.close()
    return [message.value() or b"" for message in messages]


def test_broker_serves_and_is_found_by_its_folder(kafka: LocalKafka, state_dir: Path) -> None:
    """A started broker takes and gives records, and any process can learn its address from the folder."""
    assert 0 == write(kafka, b"first")
    assert [b"first"] == read_all(kafka)
    assert kafka.address == running(state_dir)
    kafka.check()


def test_topics_are_never_made_by_accident(kafka: LocalKafka) -> None:
    """Writing to a topic that nobody declared does not create it."""
    producer = Producer({"bootstrap.servers": kafka.address.bootstrap, "message.timeout.ms": 1500})
    producer.produce("typo", b"lost")
    producer.flush(5)
    assert "typo" not in AdminClient({"bootstrap.servers": kafka.address.bootstrap}).list_topics(timeout=10).topics


def test_broker_listens_on_loopback_only(kafka: LocalKafka) -> None:
    """No listener of the broker can be reached from another machine."""
    listeners = [c for c in psutil.Process(kafka.address.pid).net_connections("tcp") if c.status == psutil.CONN_LISTEN]
    assert 2 == len(listeners)
    assert {"127.0.0.1"} <= {c.laddr.ip.removeprefix("::ffff:") for c in listeners} <= {"127.0.0.1"}


def test_broker_has_its_own_session(kafka: LocalKafka) -> None:
    """Ctrl-C in our terminal does not reach the broker."""
    assert os.getsid(0) != os.getsid(kafka.address.pid)


def test_second_start_names_the_broker(kafka: LocalKafka) -> None:
    """Starting the same instance again is refused with the process id of its broker."""
    with pytest.raises(AlreadyRunning, match=f"already runs in .* as process {kafka.address.pid}: use it"):
        kafka.start()


def test_folder_in_use_names_its_holder(kafka: LocalKafka, state_dir: Path) -> None:
    """A second process that wants the same folder is told who has it."""
    code = (
        "import sys; from pathlib import Path; from tapefold.local.kafka import LocalKafka\n"
        "LocalKafka(Path(sys.argv[1])).start()"
    )
    done = subprocess.run([sys.executable, "-c", code, state_dir], capture_output=True, text=True, check=False)
    assert f"is in use by process {os.getpid()}: stop that process" in done.stderr
    kafka.check()


def test_big_record_is_taken(kafka: LocalKafka) -> None:
    """A record of 15 MiB goes through."""
    size_bytes = 15 * 1024 * 1024
    write(kafka, b"x" * size_bytes)
    assert size_bytes == len(read_all(kafka)[-1])


def test_restart_keeps_port_and_data(kafka: LocalKafka, state_dir: Path) -> None:
    """After a stop nothing runs; after the next start the records are there, at the same address."""
    write(kafka, b"before restart")
    before, address = read_all(kafka), kafka.address
    kafka.stop()
    assert not psutil.pid_exists(address.pid)
    assert running(state_dir) is None
    assert not stop(state_dir)
    assert address.bootstrap == kafka.start().bootstrap
    assert before == read_all(kafka)
    assert len(before) == write(kafka, b"after restart")


def test_broker_that_was_killed_is_seen_and_starts_again(kafka: LocalKafka, state_dir: Path) -> None:
    """After kill -9 of the broker it is known to be dead, and starts on the same folder with its data."""
    write(kafka, b"before kill")
    before, address = read_all(kafka), kafka.address
    os.kill(address.pid, signal.SIGKILL)
    psutil.wait_procs([psutil.Process(address.pid)], timeout=10)
    assert running(state_dir) is None
    with pytest.raises(ServiceDied, match="Kafka died"):
        kafka.check()
    assert address.bootstrap == kafka.start().bootstrap
    assert before == read_all(kafka)


def start_and_kill_owner(state_dir: Path) -> None:
    """Leave a broker running whose owner was killed."""
    code = (
        "import sys, time; from pathlib import Path; from tapefold.local.kafka import LocalKafka\n"
        "LocalKafka(Path(sys.argv[1])).start(); print('up', flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code, state_dir], stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout is not None
        assert "up\n" == owner.stdout.readline()
        owner.kill()


def test_broker_of_a_killed_owner_is_taken_over(kafka: LocalKafka, state_dir: Path) -> None:
    """A broker whose owner was killed goes on; the next owner takes it as it runs, with its data, and can stop it."""
    before = read_all(kafka)
    kafka.stop()
    start_and_kill_owner(state_dir)
    left = running(state_dir)
    assert left == kafka.start()
    assert before == read_all(kafka)
    kafka.stop()
    assert running(state_dir) is None
    kafka.start()


def test_broker_whose_data_was_taken_away_is_not_taken_over(tmp_path: Path) -> None:
    """A broker that runs on after its folder was emptied is stopped, and another one starts on a new folder."""
    start_and_kill_owner(tmp_path)
    left = running(tmp_path)
    assert left is not None
    shutil.rmtree(tmp_path / "kafka" / "data")
    with LocalKafka(tmp_path, heap_mb=256) as kafka:
        assert left.pid != kafka.address.pid
        assert not psutil.pid_exists(left.pid)


def test_stop_by_folder_stops_whoever_started_it(kafka: LocalKafka, state_dir: Path) -> None:
    """A broker can be stopped by its folder alone; its owner sees that it is gone."""
    assert stop(state_dir)
    assert running(state_dir) is None
    with pytest.raises(ServiceDied):
        kafka.check()
    kafka.start()


def test_remembered_port_that_is_taken_gives_way(kafka: LocalKafka) -> None:
    """If another process took the port meanwhile and none was asked for, another port is used."""
    port = int(kafka.address.bootstrap.partition(":")[2])
    kafka.stop()
    with socket.create_server(("127.0.0.1", port)):
        assert f"127.0.0.1:{port}" != kafka.start().bootstrap


def test_a_broker_that_was_quicker_to_the_port_is_not_taken_for_ours(
    kafka: LocalKafka, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another folder's broker binds the port after our look at it: it answers there, ours dies, and starts elsewhere."""
    taken = int(kafka.address.bootstrap.partition(":")[2])
    looks = [True, True]  # what the first looks at the port say: nobody is there yet
    monkeypatch.setattr(
        "tapefold.local.kafka.port_free", lambda port: looks.pop() if port == taken and looks else port_free(port)
    )
    (tmp_path / "kafka").mkdir()
    Runtime({"broker": taken}, None).write(tmp_path / "kafka")
    with LocalKafka(tmp_path, heap_mb=256) as other:
        assert not looks
        assert kafka.address.bootstrap != other.address.bootstrap
        other.check()
        assert other.address == running(tmp_path)
    kafka.check()


def test_port_that_was_asked_for_and_is_taken(tmp_path: Path) -> None:
    """A taken port that the user insists on is refused, with the port and its owner; the folder is free again."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(PortTaken) as refused:
            LocalKafka(tmp_path, port=port).start()
    assert port == refused.value.port
    assert f"(process {os.getpid()})" in str(refused.value)
    with FolderLock(tmp_path / "kafka"):
        assert running(tmp_path) is None


def test_full_disk_is_refused_before_anything_starts(tmp_path: Path) -> None:
    """A disk with less than the named minimum is refused, and nothing is prepared."""
    with pytest.raises(NoDiskSpace, match=r"MiB free, 1099511627776 MiB needed: free some space"):
        LocalKafka(tmp_path, disk_bytes_min=1 << 60).start()
    assert ["lock"] == [path.name for path in (tmp_path / "kafka").iterdir()]


@pytest.mark.parametrize(
    ("line", "error"),
    [
        ("ERROR LogDirFailureChannel java.io.IOException: No space left on device", NoDiskSpace),
        ("ERROR KafkaRaftServer something else", ServiceDied),
    ],
)
def test_broker_that_died_says_why(tmp_path: Path, line: str, error: type[Exception]) -> None:
    """The log of a dead broker decides which error its owner gets."""
    kafka = LocalKafka(tmp_path)
    kafka.folder.mkdir()
    (kafka.folder / "kafka.log").write_text(line + "\n\tat java.base/java.io.File.write\n")
    assert error is type(kafka._failure(ServiceDied("Kafka", tmp_path, "")))


def test_broker_that_can_not_start_shows_its_log(tmp_path: Path) -> None:
    """A broker that dies while it starts leaves nothing running and its last words in the error."""
    data = tmp_path / "kafka" / "data"
    data.mkdir(parents=True)
    (data / "meta.properties").write_text("version=1\nnode.id=7\ncluster.id=MkU3OEVBNTcwNTJENDM2Qg\n")
    kafka = LocalKafka(tmp_path)
    with pytest.raises(StartFailed, match="Stored node id 7") as failed:
        kafka.start()
    assert "\tat " not in failed.value.tail
    assert failed.value.log_path == kafka.folder / "kafka.log"
    assert running(tmp_path) is None
    kafka.stop()
    with FolderLock(kafka.folder):
        assert port_free(kafka._ports()[0])


def test_start_that_takes_too_long_is_ended(tmp_path: Path) -> None:
    """A broker that does not serve in time is not left running."""
    kafka = LocalKafka(tmp_path)
    with pytest.raises(StartFailed):
        kafka.start(ready_timeout_s=0.2)
    assert running(tmp_path) is None
    with pytest.raises(RuntimeError, match="not started"):
        _ = kafka.address


def test_jars_that_are_there_are_found_without_network() -> None:
    """The second look for the jars reports no download."""
    lines: list[str] = []
    jars = ensure_jars()
    assert jars == ensure_jars(lines.append)
    assert [] == lines
    assert f"kafka_2.13-{KAFKA_VERSION}.jar" in [jar.name for jar in jars]


def test_jar_that_lost_bytes_is_fetched_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder with a jar of the wrong size is not used; without a network that is an error which leaves no half."""
    folder = tmp_path / f"kafka-{KAFKA_VERSION}"
    folder.mkdir()
    (folder / "a.jar").write_bytes(b"short")
    (folder / "complete.json").write_text('{"a.jar": 5}')
    assert [folder / "a.jar"] == ensure_jars(cache_dir=tmp_path)
    (folder / "a.jar").write_bytes(b"")
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    with pytest.raises(DownloadFailed, match=f"cannot download Kafka {KAFKA_VERSION}: .*check the network"):
        ensure_jars(cache_dir=tmp_path)
    assert not (tmp_path / f"kafka-{KAFKA_VERSION}.partial").exists()


def test_java_is_new_enough() -> None:
    """The Java that is found exists and can run Kafka 4."""
    java = find_java()
    assert java.executable.is_file()
    assert 17 <= java.major


def test_commands_say_what_was_asked() -> None:
    """Heap, marker and ports stand in the command and the configuration; a cluster id may begin with a dash."""
    java, jars = find_java(), ensure_jars()
    command = broker_command(java, jars, 384, "-Dmark=1")
    assert {"-Xmx384m", "-Dmark=1", "kafka.Kafka"} <= set(command)
    assert "--cluster-id=-AAAAAAAAAAAAAAAAAAAAA" in format_command(java, jars, "-AAAAAAAAAAAAAAAAAAAAA")
    assert "listeners=PLAINTEXT://127.0.0.1:5,CONTROLLER://127.0.0.1:6\n" in configuration(5, 6)["server.properties"]
