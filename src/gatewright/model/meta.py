"""What every Kubernetes object shares: metadata, conditions, selectors, keys (meta/v1)."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal, NamedTuple, dataclass_transform

import msgspec

from gatewright.model.constraints import NO_DEFAULT, REQUIRED, integer, items, text


class Key(NamedTuple):
    """Identifies an object within its kind. `namespace` is empty for a cluster-scoped kind."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}" if self.namespace else self.name


def timestamp(moment: datetime) -> str:
    """A moment in UTC as metav1.Time writes it: RFC 3339, whole seconds."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


class KeywordOnly(msgspec.StructMeta):
    """Makes every subclass keyword-only, which msgspec itself does not inherit."""

    def __new__(mcls, name: str, bases: tuple[type, ...], namespace: dict[str, Any], **options: Any) -> Any:  # noqa: D102
        options.setdefault("kw_only", True)
        return super().__new__(mcls, name, bases, namespace, **options)


@dataclass_transform(kw_only_default=True, frozen_default=True, field_specifiers=(msgspec.field,))
class Model(msgspec.Struct, metaclass=KeywordOnly, frozen=True, rename="camel", omit_defaults=True, gc=False):
    """Base of every API type. Unknown fields are ignored: a cluster may have newer schemas than we."""


class OwnerReference(Model):
    """An object's owner: when it goes, the garbage collector removes the owned object."""

    api_version: str
    kind: str
    name: str
    uid: str
    controller: bool = False
    block_owner_deletion: bool = False


class ObjectMeta(Model):
    """An object's metadata. `managedFields` is not kept."""

    name: str = ""
    generate_name: str = ""
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""
    generation: int = 0
    creation_timestamp: str = ""
    deletion_timestamp: str | None = None
    deletion_grace_period_seconds: int | None = None
    labels: dict[str, str] = msgspec.field(default_factory=dict)
    annotations: dict[str, str] = msgspec.field(default_factory=dict)
    owner_references: tuple[OwnerReference, ...] = ()
    finalizers: tuple[str, ...] = ()

    @property
    def key(self) -> Key:
        """The object's namespace and name."""
        return Key(self.namespace, self.name)


def always(value: str) -> str:
    """A default that is encoded even so: an object without `apiVersion` and `kind` is no object."""
    default: str = msgspec.field(default_factory=lambda: value)
    return default


class Object(Model):
    """Base of every kind that the API stores. Each subclass sets `api_version` and `kind`."""

    api_version: str = ""
    kind: str = ""
    metadata: ObjectMeta = ObjectMeta()

    @property
    def key(self) -> Key:
        """The object's namespace and name."""
        return Key(self.metadata.namespace, self.metadata.name)

    @property
    def name(self) -> str:
        """`metadata.name`."""
        return self.metadata.name

    @property
    def namespace(self) -> str:
        """`metadata.namespace`; empty for a cluster-scoped kind."""
        return self.metadata.namespace

    @property
    def deleting(self) -> bool:
        """Whether deletion was asked for and finalizers hold it up."""
        return self.metadata.deletion_timestamp is not None


_CONDITION_TYPE = (
    r"^([a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])$"
)
_CONDITION_REASON = r"^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$"


class Condition(Model, omit_defaults=False):
    """One condition of an object's status (meta/v1 Condition)."""

    type: Annotated[str, text(pattern=_CONDITION_TYPE, max_length=316)]
    status: Literal["True", "False", "Unknown"]
    reason: Annotated[str, text(pattern=_CONDITION_REASON, min_length=1, max_length=1024)]
    message: Annotated[str, text(max_length=32768), REQUIRED] = ""
    last_transition_time: Annotated[str, text(format="date-time"), REQUIRED] = ""
    observed_generation: Annotated[int, integer("int64", ge=0), NO_DEFAULT] = 0


Conditions = Annotated[tuple[Condition, ...], items(at_most=8, keys=("type",))]


class LabelSelectorRequirement(Model):
    """One expression of a label selector."""

    key: str
    operator: str
    values: Annotated[tuple[str, ...], items(kind="atomic")] = ()


class LabelSelector(Model):
    """Selects objects by label: every label and every expression must hold. An empty selector selects all."""

    match_labels: dict[str, str] = msgspec.field(default_factory=dict)
    match_expressions: Annotated[tuple[LabelSelectorRequirement, ...], items(kind="atomic")] = ()

    def matches(self, labels: dict[str, str]) -> bool:
        """Whether `labels` satisfy the selector. An operator that Kubernetes doesn't define selects nothing."""
        if any(labels.get(key) != value for key, value in self.match_labels.items()):
            return False
        for term in self.match_expressions:
            value = labels.get(term.key)
            if term.operator == "In":
                holds = value is not None and value in term.values
            elif term.operator == "NotIn":
                holds = value is None or value not in term.values
            elif term.operator == "Exists":
                holds = value is not None
            else:
                holds = term.operator == "DoesNotExist" and value is None
            if not holds:
                return False
        return True
