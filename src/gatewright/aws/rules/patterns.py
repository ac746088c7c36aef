"""Values of conditions: what an ALB takes as it is, and regular expressions for what it doesn't.

Values have the wildcards * and ?; regular expressions are searched for, so those here are anchored. The documentation
("Listener rules for your Application Load Balancer") leaves out lookaround, backreferences and Unicode classes: what is
left is RE2's syntax, which the Gateway API's expressions are checked for.
"""

from __future__ import annotations

import re
from typing import Final

from gatewright.aws.rules.limits import VALUE_LENGTH

_SPECIAL: Final = re.compile(r"[\\.+*?()|\[\]{}^$]")
_PATH: Final = re.compile(r"""[A-Za-z0-9_\-.$/~"'@:+&]+""")
_HOST: Final = re.compile(r"(?:\*\.)?(?:[a-z0-9-]+\.)+[a-z]+")
_VISIBLE: Final = re.compile(r"[ -~]*")
_UNKNOWN: Final = re.compile(r"(?<!\\)(?:\\\\)*\\[pPCQ]")


def is_visible(text: str) -> bool:
    """Whether it has visible ASCII characters only, which is all that conditions are compared with."""
    return _VISIBLE.fullmatch(text) is not None


def escaped(text: str) -> str:
    """A text as a regular expression that matches just it."""
    return _SPECIAL.sub(r"\\\g<0>", text)


def anchored(pattern: str) -> str:
    """A regular expression that has to match all of a text, where an ALB searches."""
    if "|" in pattern:
        return f"^(?:{pattern})$"
    inner = pattern[1:] if re.match(r"\^(?![*+?{])", pattern) else pattern
    before = inner.removesuffix("$")
    backslashes = len(before) - len(before.rstrip("\\"))
    return f"^{inner if backslashes % 2 else before}$"


def is_regex(pattern: str) -> bool:
    """Whether an ALB takes a regular expression, of RE2's syntax, by its length and characters."""
    return len(pattern) <= VALUE_LENGTH and is_visible(pattern) and not _UNKNOWN.search(pattern)


def is_path_value(path: str) -> bool:
    """Whether a path can be a value without wildcards (API: PathPatternConditionConfig)."""
    return len(path) <= VALUE_LENGTH and _PATH.fullmatch(path) is not None


def is_host_value(hostname: str) -> bool:
    """Whether a hostname can be a value: with a dot, and letters only after the last one."""
    return len(hostname) <= VALUE_LENGTH and _HOST.fullmatch(hostname) is not None


def host_regex(hostname: str) -> str:
    """A hostname, which may begin with the wildcard label, as a regular expression for Host with any port."""
    name = f".+{escaped(hostname[1:])}" if hostname.startswith("*.") else escaped(hostname)
    return f"(?i)^{name}(:[0-9]+)?$"


def query_value(text: str) -> str:
    """A query parameter's name or value, with what would be a wildcard escaped (API: QueryStringConditionConfig)."""
    return re.sub(r"[\\*?]", r"\\\g<0>", text)


def wildcards(value: str) -> int:
    """How many wildcards a value has; a backslash before one takes that away."""
    return len(re.findall(r"(?<!\\)[*?]", value))
