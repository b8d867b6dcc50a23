"""As-of policies on the log: which are there, and how one comes there. `tapefold policy` and `tapefold migrate` call it."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec

from tapefold.on_log import facts_of, partitions_of
from topics.catalog import FACT_POLICY, SCHEMA_HEADER
from topics.codec import encode
from topics.errors import Refused
from topics.log import Log
from topics.policies import Policy


class PolicyRefused(Refused):
    """A policy cannot be added. The message says which rule it breaks."""


def on_log(log: Log) -> dict[int, dict[str, Policy]]:
    """Partition -> the policies that stand there by `id@version`; of two tellings the first. Raises Refused, Unavailable."""
    found: dict[int, dict[str, Policy]] = {number: {} for number in range(partitions_of(log, FACT_POLICY))}
    for number, policy in facts_of(log, FACT_POLICY):
        if isinstance(policy, Policy):
            found[number].setdefault(policy.key, policy)
    return found


def known(log: Log) -> list[Policy]:
    """All policies, by id and version."""
    policies = {key: policy for part in on_log(log).values() for key, policy in part.items()}
    return sorted(policies.values(), key=lambda policy: (policy.policy_id, policy.version))


def publish(log: Log, policies: Iterable[Policy]) -> list[str]:
    """Append each policy to the partitions that lack it; returns the keys that were new to at least one.

    Raises PolicyRefused when another policy has the id and version of one of them: a version never changes.
    """
    there, wanted = on_log(log), list(policies)
    for policy in wanted:
        for part in there.values():
            if part.get(policy.key, policy) != policy:
                raise PolicyRefused(
                    f"policy {policy.key} is there with other words, and a version never changes: "
                    f"give it version {policy.version + 1}"
                )
    appender = log.appender()
    new: dict[str, bool] = {}
    for policy in wanted:
        for number, part in there.items():
            if policy.key not in part:
                appender.append(FACT_POLICY, encode(policy), partition=number, headers=SCHEMA_HEADER)
                new[policy.key] = True
    appender.flush()
    appender.close()
    return list(new)


def read_file(path: Path, there: Sequence[Policy]) -> Policy:
    """The policy that a JSON file describes; without a `version` it is the next one of its id. Raises PolicyRefused."""
    try:
        words = msgspec.json.decode(path.read_bytes(), type=dict[str, msgspec.Raw])
        named = bytes(words.get("policy_id", b""))
        versions = [policy.version for policy in there if msgspec.json.encode(policy.policy_id) == named]
        words.setdefault("version", msgspec.Raw(msgspec.json.encode(max(versions, default=0) + 1)))
        words.pop("type", None)
        if unknown := words.keys() - set(Policy.__struct_fields__):
            raise PolicyRefused(f"{path}: expected fields of a policy, was {', '.join(sorted(unknown))}")
        words["type"] = msgspec.Raw(b'"policy"')
        policy = msgspec.json.decode(msgspec.json.encode(words), type=Policy)
    except OSError as error:
        raise PolicyRefused(f"{path}: expected a readable file: {error}") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise PolicyRefused(f"{path}: expected a policy as `tapefold policy show` prints one: {error}") from error
    return policy
