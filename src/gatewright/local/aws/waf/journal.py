"""What came of requests at web ACLs: counts for each rule, as CloudWatch has them, and samples of requests."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping, Sequence
from datetime import datetime
from threading import Lock
from typing import Any, Literal

from msgspec import Struct, structs

from gatewright.local.aws.waf.documents import Unsupported

DEFAULT_ACTION = "Default_Action"
"""Stands for a rule where none has decided."""

_SAMPLES = 500

Verdict = Literal["ALLOW", "BLOCK", "COUNT", "SKIP"]
"""SKIP: the request passed a rule, or part of one, that has no effect here."""


class Sample(Struct, frozen=True):
    """A request that a rule matched."""

    at: datetime
    verdict: Verdict
    client: str
    method: str
    uri: str
    version: str
    headers: tuple[tuple[str, str], ...]
    labels: tuple[str, ...]
    status: int


class Journal:
    """Remembers for each rule of a web ACL how many requests it has allowed, blocked, counted, and let pass unseen.

    Any thread may use it. Rules of rule groups are named `group's rule/rule`.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._counts: dict[str, Counter[tuple[str, Verdict]]] = {}
        self._samples: dict[tuple[str, str], deque[Sample]] = {}
        self._unsupported: dict[str, Sequence[Unsupported]] = {}

    def take(self, acl: str, outcome: Mapping[str, Any], sample: Sample) -> None:
        """A request was evaluated by a web ACL (by ARN), with an outcome as in the metadata `waf.OUTCOME`."""
        verdicts: list[tuple[str, Verdict]] = [(rule, "COUNT") for rule in _words(outcome, "counted")]
        verdicts += [(rule, "SKIP") for rule in _words(outcome, "skipped")]
        if outcome.get("action") in ("ALLOW", "BLOCK"):
            verdicts.append((outcome["rule"], outcome["action"]))
        labels = tuple(_words(outcome, "labels"))
        with self._lock:
            counts = self._counts.setdefault(acl, Counter())
            for rule, verdict in verdicts:
                counts[rule, verdict] += 1
                samples = self._samples.setdefault((acl, rule), deque(maxlen=_SAMPLES))
                samples.append(structs.replace(sample, verdict=verdict, labels=labels))

    def tell(self, acl: str, unsupported: Sequence[Unsupported]) -> None:
        """Which parts of a web ACL have no effect here."""
        with self._lock:
            self._unsupported[acl] = unsupported

    def forget(self, acl: str) -> None:
        """A web ACL is gone."""
        with self._lock:
            self._counts.pop(acl, None)
            self._unsupported.pop(acl, None)
            for key in [key for key in self._samples if key[0] == acl]:
                del self._samples[key]

    def counts(self, acl: str) -> dict[str, dict[str, int]]:
        """By rule: how many requests met which verdict."""
        found: dict[str, dict[str, int]] = {}
        with self._lock:
            for (rule, verdict), number in sorted(self._counts.get(acl, {}).items()):
                found.setdefault(rule, {})[verdict] = number
        return found

    def unsupported(self, acl: str) -> Sequence[Unsupported]:
        """The parts without effect."""
        with self._lock:
            return self._unsupported.get(acl, ())

    def samples(self, acl: str, rule: str, start: datetime, end: datetime) -> list[Sample]:
        """Requests that a rule matched between two points in time, the oldest first."""
        with self._lock:
            return [each for each in self._samples.get((acl, rule), ()) if start <= each.at <= end]

    def page(self) -> dict[str, Any]:
        """All of it, for people: by ARN of a web ACL, `rules` with their counts, and what is `unsupported`."""
        with self._lock:
            acls = sorted({*self._counts, *self._unsupported})
        return {
            acl: {
                "rules": self.counts(acl),
                "unsupported": [
                    {"rule": each.rule, "statement": each.statement, "why": each.why} for each in self.unsupported(acl)
                ],
            }
            for acl in acls
        }


def _words(outcome: Mapping[str, Any], name: str) -> list[str]:
    text = outcome.get(name) or ""
    return text.split() if isinstance(text, str) else []
