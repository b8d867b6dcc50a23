"""The sink's own tables in the store: intents, commits, accepted gaps. SQL and rows, no decisions."""

from collections.abc import Callable, Mapping

import pyarrow as pa

from sinks import columns
from sinks.assignment import Committed, Gap
from sinks.batch import COMMITS, INTENTS, Round, Share, Tail, commit_rows, intent_rows
from sinks.generation import LIVE
from sinks.identity import Schemas
from sinks.steps import RoundSeen, WriteCommit
from sinks.tables import Tables, Unless
from topics.log import Identity, TopicPartition

GAPS = "sink_gaps"
_COMMITTED = """
SELECT topic, partition, max(next), argMax(cluster, next), argMax(topic_id, next),
       argMax(toUnixTimestamp64Milli(tail_at), next), argMax(tail_crc32, next)
FROM tapefold.sink_commits WHERE sink = {sink:String} GROUP BY topic, partition
"""
_GAPS = """
SELECT topic, partition, max(next), argMax(topic_id, next) FROM tapefold.sink_gaps
WHERE sink = {sink:String} GROUP BY topic, partition
"""
_LAST_ROUND = "SELECT max(round) FROM tapefold.sink_commits WHERE sink = {sink:String}"
_THIS_ROUND = "sink = {sink:String} AND round = {round:UInt64}"
_SHARE = "round, attempt, owner, code, topic, partition, first, next, rows, checksum"
# Of later rounds it is enough to know that there are some; a round has fewer rows than this.
_COMMITS_OF = (
    "SELECT 'commit', SHARE FROM tapefold.sink_commits WHERE sink = {sink:String} AND round >= {round:UInt64}"
    " ORDER BY round LIMIT 10000"
).replace("SHARE", _SHARE)
_INTENTS_OF = (
    "SELECT 'intent', SHARE FROM tapefold.sink_intents WHERE sink = {sink:String} AND round = {round:UInt64}"
).replace("SHARE", _SHARE)
# The generations that are written ride along in the place of the owner: one question is one journey.
_WRITTEN = (
    "SELECT 'written', version, 0, arrayStringConcat(written, ','), 0, '', 0, 0, 0, 0, 0 FROM tapefold.generation_moves"
    " ORDER BY version DESC, owner LIMIT 1"
)
_ROUND = " UNION ALL SELECT * FROM ".join((_INTENTS_OF, f"({_COMMITS_OF})", f"({_WRITTEN})"))


class Ledger:
    """The ledger of one sink. now_ns: stamps rows. schemas: of the same store, where they are kept; else its own."""

    def __init__(self, tables: Tables, *, sink: str, now_ns: Callable[[], int], schemas: Schemas | None = None) -> None:
        self._tables = tables
        self._sink = sink
        self._now_ns = now_ns
        self._schemas = schemas or Schemas(tables)

    def committed(self) -> dict[TopicPartition, Committed]:
        """Each partition's last commit, or the end of a gap accepted past it."""
        known: dict[TopicPartition, Committed] = {}
        for topic, number, position, cluster, topic_id, tail_ms, tail_crc32 in self._rows(_COMMITTED):
            known[topic, number] = Committed(cluster, topic_id, position, Tail(tail_ms, tail_crc32))
        for topic, number, position, topic_id in self._rows(_GAPS):
            last = known.get((topic, number))
            if last is None or last.next < position:
                known[topic, number] = Committed(last.cluster if last else "", topic_id, position, None)
        return known

    def next_number(self) -> int:
        """The number of the round after the last that is committed; the first is 1."""
        return int(self._rows(_LAST_ROUND)[0][0]) + 1

    def seen(self, number: int, *, intents: bool) -> RoundSeen:
        """What stands under the number of a round; without `intents` only what is committed."""
        proposed: dict[tuple[int, str], list[Share]] = {}
        codes: dict[tuple[int, str], int] = {}
        committed: dict[int, set[Share]] = {}
        passed = False
        written: tuple[str, ...] = (LIVE,)
        parameters = {"sink": self._sink, "round": number}
        for kind, found, attempt, owner, code, *share in self._tables.query_rows(
            _ROUND if intents else _COMMITS_OF, parameters
        ).rows:
            if kind == "intent":
                proposed.setdefault((attempt, owner), []).append(Share(*share))
                codes[attempt, owner] = code
            elif kind == "written":
                written = tuple(owner.split(","))
            elif found == number:
                committed.setdefault(attempt, set()).add(Share(*share))
            else:
                passed = True
        rounds = (Round(number, *key, codes[key], tuple(sorted(set(shares)))) for key, shares in proposed.items())
        commit = tuple(sorted(committed[max(committed)])) if committed else None
        return RoundSeen(tuple(rounds), commit, passed, written)

    def write_intent(self, round_: Round, token: str, identity: Identity) -> None:
        """Insert the rows of an intent."""
        rows = intent_rows(round_, sink=self._sink, identity=identity, at_ns=self._now_ns())
        self._tables.insert_arrow(INTENTS, rows, token)

    def write_commit(self, said: WriteCommit, identity: Identity, tails: Mapping[TopicPartition, Tail]) -> None:
        """Insert the rows of a commit, unless the round has one.

        A token alone does not keep a writer that stood still for long from committing a round a second time, with other
        ranges: a store that lost power may have forgotten it.
        """
        at_ns = self._now_ns()
        rows = columns.plain(
            commit_rows(said.round, tails, said.written, sink=self._sink, identity=identity, at_ns=at_ns)
        )
        declared = self._schemas[COMMITS].columns
        found = {"sink": self._sink, "round": said.round.number}
        kinds = [declared[name].kind for name in rows.column_names]
        self._tables.insert_arrow(COMMITS, rows, said.token, unless=Unless(_THIS_ROUND, found, kinds))

    def accept_gap(self, gap: Gap) -> None:
        """Write that a range is given up; said twice, it stands once."""
        row = {
            "sink": columns.labels([self._sink]),
            "topic": columns.labels([gap.topic]),
            "topic_id": columns.labels([gap.topic_id]),
            "partition": columns.uint32([gap.partition]),
            "first": columns.uint64([gap.first]),
            "next": columns.uint64([gap.next]),
            "reason": columns.labels([gap.reason]),
            "note": columns.text([gap.note]),
            "at": columns.time_ns([self._now_ns()]),
        }
        token = f"{GAPS}:{self._sink}:{gap.topic}:{gap.partition}:{gap.first}:{gap.next}"
        self._tables.insert_arrow(GAPS, pa.table(row), token)

    def _rows(self, query: str) -> list[tuple]:  # type: ignore[type-arg]  # as the store gives them
        return [tuple(row) for row in self._tables.query_rows(query, {"sink": self._sink}).rows]
