"""What Terraform says while it works (`-json`: its machine-readable UI), as a state that can be shown."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import msgspec

_SHOWN = 3
_SLOW_SECONDS = 10.0
_TOLD = 20
_ERROR = "Error: "
_VALIDATION = ".aws_acm_certificate_validation."
_VALIDATED_SECONDS = 90.0
"""ACM validates a name that resolves within this time, as a rule."""


@dataclass(frozen=True)
class Diagnostic:
    """An error or a warning, in Terraform's own words."""

    severity: str
    summary: str
    detail: str
    address: str
    place: str

    def __str__(self) -> str:
        where = ", ".join(part for part in (self.address, self.place) if part)
        detail = f"\n{self.detail.strip()}" if self.detail.strip() else ""
        return f"{where + ': ' if where else ''}{self.summary}{detail}"


@dataclass
class Run:
    """One run of plan, apply or destroy. Times are those of the caller's clock, in seconds."""

    planned: list[tuple[str, str]] = field(default_factory=list)
    """Action and address of each planned change, in Terraform's order."""
    running: dict[str, tuple[str, float]] = field(default_factory=dict)
    """What is being made or destroyed, by address: the action, and since when."""
    zone: str = ""
    """ID of a hosted zone that was made."""
    done: int = 0
    errors: list[Diagnostic] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    """Lines that aren't JSON: what Terraform says before it gets as far as that."""

    def read(self, line: str, now: float) -> None:
        """Take one line of its output in."""
        text = line.strip()
        if not text:
            return
        try:
            message: Any = msgspec.json.decode(text)
        except msgspec.DecodeError:
            message = None
        if not isinstance(message, dict):
            if not text.startswith('{"@'):  # a message that a full disk, or a kill, has cut
                self.said.append(text)
            return
        hook = message.get("hook") or {}
        address = (hook.get("resource") or {}).get("addr", "")
        match message.get("type"):
            case "planned_change":
                change = message.get("change") or {}
                self.planned.append((change.get("action", ""), (change.get("resource") or {}).get("addr", "")))
            case "apply_start":
                self.running[address] = (hook.get("action", ""), now)
            case "apply_complete":
                self.running.pop(address, None)
                self.done += 1
                if ".aws_route53_zone." in address:
                    self.zone = str(hook.get("id_value", ""))
            case "apply_errored":
                self.running.pop(address, None)
            case "diagnostic":
                found = _diagnostic(message.get("diagnostic") or {})
                if found.severity == "error":
                    self.errors.append(found)

    @property
    def changes(self) -> list[tuple[str, str]]:
        """Planned changes of what is there or will be; reading data is none."""
        return [(action, address) for action, address in self.planned if action not in ("read", "no-op", "noop")]

    def summary(self) -> str:
        """What is planned, counted: `53 to create, 1 to update`; empty where nothing is."""
        counted = Counter(action for action, _ in self.changes)
        return ", ".join(f"{count} to {action}" for action, count in sorted(counted.items()))

    def line(self, total: int, now: float) -> str:
        """How far it is, with what takes long named."""
        text = f"{self.done} of {total} done" if total else "comparing with what is there"
        oldest = sorted(self.running.items(), key=lambda each: each[1][1])
        names = [
            f"{address}{f' for {now - since:.0f} s' if now - since >= _SLOW_SECONDS else ''}"
            for address, (_, since) in oldest[:_SHOWN]
        ]
        if names:
            more = f" and {len(oldest) - _SHOWN} more" if len(oldest) > _SHOWN else ""
            text += f"; working on {', '.join(names)}{more}"
        return text + self._awaited(now)

    def _awaited(self, now: float) -> str:
        """What somebody has to do so that it goes on; it waits for over an hour."""
        if not any(
            _VALIDATION in name and now - since > _VALIDATED_SECONDS for name, (_, since) in self.running.items()
        ):
            return ""
        zone = self.zone or "the hosted zone"
        return (
            f"; the certificate waits until the zone above delegates to the name servers of {zone} "
            f"(`aws route53 get-hosted-zone --id {self.zone or 'ID'}`)"
        )

    def failure(self) -> str:
        """What went wrong, in Terraform's own words."""
        if self.errors:
            return "\n".join(dict.fromkeys(str(error) for error in self.errors))
        begun = next((index for index, line in enumerate(self.said) if line.startswith(_ERROR)), None)
        if begun is None:
            return "\n".join(["it ended without saying why, as where a disk is full", *self.said[-_TOLD:]])
        return "\n".join(self.said[begun:][-_TOLD:])


def _diagnostic(found: dict[str, Any]) -> Diagnostic:
    range_ = found.get("range") or {}
    start = (range_.get("start") or {}).get("line")
    return Diagnostic(
        severity=found.get("severity", ""),
        summary=found.get("summary", ""),
        detail=found.get("detail", ""),
        address=found.get("address", ""),
        place=f"{range_.get('filename')}:{start}" if range_.get("filename") and start else "",
    )
