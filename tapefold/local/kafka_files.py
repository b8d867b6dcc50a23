"""What the embedded Kafka is told: its two configuration files and its command lines, as pure functions."""

from pathlib import Path

from tapefold.local.jars import Java
from tapefold.local.state import HOST

DATA_DIR = "data"
"""Folder of the log, inside the folder of the service."""

RECORD_BYTES_MAX = 16 * 1024 * 1024

_PROPERTIES_FILE = "server.properties"
_LOGGING_FILE = "log4j2.properties"
_OFFSETS_KEPT_MINUTES = 10 * 365 * 24 * 60
_CLEANER_BYTES = 16 * 1024 * 1024

# From Java 24 on the JVM complains into the log about what Kafka 4.1 does with memory and native code.
_QUIET_FLAGS = ("--sun-misc-unsafe-memory-access=allow", "--enable-native-access=ALL-UNNAMED")
_QUIET_SINCE_MAJOR = 24


def configuration(port: int, controller_port: int) -> dict[str, str]:
    """The contents of all configuration files by name, for a single node on 127.0.0.1.

    port, controller_port: where clients connect, and where the node talks with itself.
    Source of the names: https://kafka.apache.org/41/configuration/broker-configs/
    """
    settings: dict[str, str | int] = {
        "process.roles": "broker,controller",
        "node.id": 1,
        # A fixed voter list stands in this file only, so the controller may move to another port between two starts.
        "controller.quorum.voters": f"1@{HOST}:{controller_port}",
        "listeners": f"PLAINTEXT://{HOST}:{port},CONTROLLER://{HOST}:{controller_port}",
        "advertised.listeners": f"PLAINTEXT://{HOST}:{port}",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "controller.listener.names": "CONTROLLER",
        "inter.broker.listener.name": "PLAINTEXT",
        # Relative, because Kafka reads this as a list with commas in Latin-1: a folder may have any name.
        "log.dirs": DATA_DIR,
        "auto.create.topics.enable": "false",
        "log.retention.ms": -1,
        # Kafka forgets a group that sleeps for 7 days; a laptop may, and would read everything again.
        "offsets.retention.minutes": _OFFSETS_KEPT_MINUTES,
        "message.max.bytes": RECORD_BYTES_MAX,
        "replica.fetch.max.bytes": RECORD_BYTES_MAX,
        "group.initial.rebalance.delay.ms": 0,
        # A broker that was killed may come back when its old session has ended: 9 s by default.
        "broker.session.timeout.ms": 3000,
        "broker.heartbeat.interval.ms": 500,
        # One node, few clients: internal topics in one copy and few partitions start and stop faster.
        "offsets.topic.replication.factor": 1,
        "offsets.topic.num.partitions": 4,
        "transaction.state.log.replication.factor": 1,
        "transaction.state.log.min.isr": 1,
        "transaction.state.log.num.partitions": 4,
        "share.coordinator.state.topic.replication.factor": 1,
        "share.coordinator.state.topic.min.isr": 1,
        "share.coordinator.state.topic.num.partitions": 1,
        # The default takes 128 MB of the heap for compaction; less only means more passes.
        "log.cleaner.dedupe.buffer.size": _CLEANER_BYTES,
    }
    logging: dict[str, str | int] = {
        "status": "error",
        "appender.out.type": "Console",
        "appender.out.name": "out",
        "appender.out.layout.type": "PatternLayout",
        "appender.out.layout.pattern": "%d{yyyy-MM-dd'T'HH:mm:ss.SSSXXX} %p %c{1} %m%n",
        "rootLogger.level": "warn",
        "rootLogger.appenderRef.out.ref": "out",
    }
    return {_PROPERTIES_FILE: _properties(settings), _LOGGING_FILE: _properties(logging)}


def broker_command(java: Java, jars: list[Path], heap_mb: int, marker: str) -> list[str]:
    """The command that runs the broker in the folder of its configuration files.

    heap_mb: the most that the Java heap may take, MiB; the process takes about 200 MB more.
    marker: argument by which the process can be told from others; has no effect.
    """
    flags = [
        marker,
        "-Xms64m",
        f"-Xmx{heap_mb}m",
        # Requests are garbage as soon as they are answered: Java's own 20 MiB were full four times a second at 2,000
        # frames/s, and rows could be queried 0.3 s later.
        "-Xmn48m",
        # Measured against G1 and the optimising compiler, 1,000,000 records: as fast or faster, 25 % less memory,
        # half the processor time, and up in 1.5 s instead of 2.0 s.
        "-XX:+UseSerialGC",
        "-XX:TieredStopAtLevel=1",
        # A broker that ran out of memory limps on and loses threads; one that is dead is seen and started again.
        "-XX:+ExitOnOutOfMemoryError",
    ]
    return [*_java(java, flags), *_main(jars, "kafka.Kafka"), _PROPERTIES_FILE]


def format_command(java: Java, jars: list[Path], cluster_id: str) -> list[str]:
    """The command that prepares an empty data folder, run in the folder of the configuration files.

    cluster_id: 16 bytes in URL-safe base64, without padding.
    """
    flags = ["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"]
    options = ["format", f"--cluster-id={cluster_id}", "--config", _PROPERTIES_FILE]
    return [*_java(java, flags), *_main(jars, "kafka.tools.StorageTool"), *options]


def _java(java: Java, flags: list[str]) -> list[str]:
    quiet = _QUIET_FLAGS if java.major >= _QUIET_SINCE_MAJOR else ()
    logging = f"-Dlog4j2.configurationFile={_LOGGING_FILE}"
    return [str(java.executable), *flags, *quiet, "-XX:-UsePerfData", "-Djava.awt.headless=true", logging]


def _main(jars: list[Path], name: str) -> list[str]:
    # Java expands the star itself; 45 paths would hide the rest of the command in `ps`.
    folders = sorted({str(jar.parent) for jar in jars})
    return ["-cp", ":".join(f"{folder}/*" for folder in folders), name]


def _properties(settings: dict[str, str | int]) -> str:
    return "".join(f"{name}={value}\n" for name, value in settings.items())
