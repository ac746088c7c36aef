"""spec.tls of an Ingress: the Secrets whose certificates are imported, and the hosts that need one from ACM."""

from __future__ import annotations

from collections.abc import Iterable

from gatewright.aws.ingress.asked import TlsFound
from gatewright.aws.ingress.membership import Member
from gatewright.flow import Collection, Context
from gatewright.model.meta import Key
from gatewright.resolve.certificates import KeyPair, key_pair
from gatewright.resolve.inputs import Inputs


def read_secrets(inputs: Inputs, members: Collection[Key, Member]) -> Collection[Key, KeyPair]:
    """Each Secret that spec.tls of an Ingress of ours names, in the Ingress's own namespace, read once."""

    def read(ctx: Context, key: Key, _: Key) -> KeyPair:
        secret = ctx.get(inputs.secrets, key)
        return key_pair(secret) if secret else KeyPair(problem=f"Secret {key} does not exist")

    named = inputs.flow.distinct("ingress secrets", members.index(lambda _, member: _secrets(member)))
    return inputs.flow.derive("ingress key pairs", named, read)


def find_tls(ctx: Context, key_pairs: Collection[Key, KeyPair], member: Member) -> TlsFound:
    """What spec.tls leads to. Hosts of rules need a certificate as those of spec.tls do."""
    usable: list[Key] = []
    names: set[str] = set()
    problems: list[str] = []
    spec = member.ingress.spec
    for index, entry in enumerate(spec.tls):
        key = Key(member.key.namespace, entry.secret_name)
        pair = ctx.get(key_pairs, key) if entry.secret_name else None
        if pair is None:
            continue
        if pair.certificate:
            usable.append(key)
            names.update(pair.names)
        else:
            problems.append(
                f"spec.tls[{index}].secretName: {pair.problem}; a certificate in ACM is looked for by the hosts"
            )
    return TlsFound(tuple(dict.fromkeys(usable)), uncovered(hosts(member), names), tuple(problems))


def hosts(member: Member) -> tuple[str, ...]:
    """The hosts that an Ingress is served at, of rules and of spec.tls, sorted."""
    spec = member.ingress.spec
    found = {rule.host for rule in spec.rules} | {host for entry in spec.tls for host in entry.hosts}
    return tuple(sorted(host.lower() for host in found if host))


def uncovered(hosts: Iterable[str], names: set[str]) -> tuple[str, ...]:
    """The hosts that certificates with these names are not for; a wildcard stands for one label."""
    return tuple(host for host in hosts if not {host, f"*.{host.partition('.')[2]}"} & names)


def _secrets(member: Member) -> set[Key]:
    return {Key(member.key.namespace, entry.secret_name) for entry in member.ingress.spec.tls if entry.secret_name}
