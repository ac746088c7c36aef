"""What can go wrong while a platform is stood up or taken down."""

from __future__ import annotations

from gatewright.aws.errors import AwsError
from gatewright.cluster import ClusterError
from gatewright.local.tools import ToolError
from gatewright.platform.gitops import GitOpsError
from gatewright.platform.rehearsal import RehearsalError
from gatewright.platform.workspace import WorkspaceError


class PlatformError(Exception):
    """Something couldn't be done. Its text says what was found and what was expected; `remedy` what to do."""

    def __init__(self, text: str, remedy: str = "") -> None:
        super().__init__(text)
        self.remedy = remedy


class UsageError(PlatformError):
    """What was asked for can't be meant."""


class StepFailed(PlatformError):
    """A step ended without being done. `step` is its id, `title` what it is called."""

    def __init__(self, step: str, title: str, cause: Exception) -> None:
        super().__init__(str(cause) or type(cause).__name__, getattr(cause, "remedy", ""))
        self.step = step
        self.title = title


EXPECTED = (PlatformError, ToolError, GitOpsError, WorkspaceError, RehearsalError, ClusterError, AwsError, OSError)
"""What a step may raise; anything else is a fault of ours."""
