"""The operations that moto's WAFv2 doesn't have, or answers in another form."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any, ClassVar, cast

from gatewright.local.aws import backends  # noqa: F401 - before moto's own modules

# isort: split

from moto.wafv2.responses import WAFV2Response

from gatewright.local.aws.waf.journal import DEFAULT_ACTION, Journal, Sample
from gatewright.local.aws.wafv2.backend import Backend
from gatewright.local.aws.wafv2.errors import invalid

Answer = tuple[int, dict[str, str], str]

_ACTIONS = {"SKIP": "COUNT"}
_JSON = {"Content-Type": "application/json"}


class Responses(WAFV2Response):
    """WAFv2's answers. `install` makes a subclass with the journal of what came of requests."""

    journal: ClassVar[Journal]

    @property
    def _backend(self) -> Backend:
        return cast("Backend", self.wafv2_backend)

    def get_web_acl_for_resource(self) -> Answer:
        """GetWebACLForResource: without `WebACL` where there is none."""
        found = self._backend.get_web_acl_for_resource(self._document()["ResourceArn"])
        return _answer({"WebACL": found.to_dict()} if found else {})

    def list_resources_for_web_acl(self) -> Answer:
        """ListResourcesForWebACL: only load balancers can be associated here."""
        document = self._document()
        kind = document.get("ResourceType", "APPLICATION_LOAD_BALANCER")
        found = self._backend.resources(document["WebACLArn"])
        return _answer({"ResourceArns": found if kind == "APPLICATION_LOAD_BALANCER" else []})

    def check_capacity(self) -> Answer:
        """CheckCapacity."""
        return _answer({"Capacity": self._backend.check_capacity(self._document()["Rules"])})

    def get_sampled_requests(self) -> Answer:
        """GetSampledRequests: the last 500 requests of a rule are kept; nothing is left out of them."""
        document = self._document()
        acl = self._backend.get_web_acl(document["WebAclArn"], None, None)
        rule = self._rule_of(acl, document["RuleMetricName"])
        window = document["TimeWindow"]
        start, end = (datetime.fromtimestamp(window[name], UTC) for name in ("StartTime", "EndTime"))
        found = self.journal.samples(acl.arn, rule, start, end)
        shown = found[-int(document["MaxItems"]) :]
        return _answer({
            "SampledRequests": [_sampled(each, rule) for each in shown],
            "PopulationSize": len(found),
            "TimeWindow": window,
        })  # fmt: skip

    def _rule_of(self, acl: Any, metric: str) -> str:
        """The name of a rule, by its metric's; a web ACL's own metric is that of its default action."""
        if acl.visibility_config.get("MetricName") == metric:
            return DEFAULT_ACTION
        for rule in acl.rules:
            if rule.visibility_config.get("MetricName") == metric:
                name: str = rule.name
                return name
            reference = rule.statement.get("RuleGroupReferenceStatement")
            group = self._backend.rule_groups.get(reference["ARN"]) if reference else None
            for member in group.rules if group else ():
                if member.visibility_config.get("MetricName") == metric:
                    return f"{rule.name}/{member.name}"
        raise invalid("The metric name isn't that of a rule.", "METRIC_NAME", metric)

    def _document(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.body)
        return found


def _answer(document: Any) -> Answer:
    return 200, dict(_JSON), json.dumps(document)


def _sampled(sample: Sample, rule: str) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "Request": {
            "ClientIP": sample.client,
            "Country": "-",
            "URI": sample.uri,
            "Method": sample.method,
            "HTTPVersion": sample.version,
            "Headers": [{"Name": name, "Value": value} for name, value in sample.headers],
        },
        "Weight": 1,
        "Timestamp": sample.at.timestamp(),
        "Action": _ACTIONS.get(sample.verdict, sample.verdict),
        "Labels": [{"Name": label} for label in sample.labels],
    }
    if "/" in rule:
        shown["RuleNameWithinRuleGroup"] = rule.partition("/")[2]
    if sample.verdict == "BLOCK":
        shown["ResponseCodeSent"] = sample.status
    return shown
