"""Label and field selectors."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatewright.local.apiserver.errors import StatusError
from gatewright.local.apiserver.scale import selector_text
from gatewright.local.apiserver.selectors import field_selector, label_selector, match_labels


def labelled(**labels: str) -> Any:
    return {"metadata": {"labels": labels}}


@pytest.mark.parametrize(
    ("text", "selected", "passed_over"),
    [
        ("app=web", labelled(app="web"), labelled(app="db")),
        ("app==web", labelled(app="web"), labelled()),
        ("app!=web", labelled(), labelled(app="web")),
        ("app", labelled(app=""), labelled()),
        ("!app", labelled(), labelled(app="")),
        ("app in (web, db)", labelled(app="db"), labelled(app="x")),
        ("app notin (web,db)", labelled(), labelled(app="db")),
        ("app=web,tier in (a,b)", labelled(app="web", tier="a"), labelled(app="web")),
        ("n>3", labelled(n="4"), labelled(n="x")),
        ("n<3", labelled(n="2"), labelled(n="3")),
    ],
)
def test_label_selectors(text: str, selected: Any, passed_over: Any) -> None:
    predicate = label_selector(text)
    assert predicate is not None
    assert predicate(selected)
    assert not predicate(passed_over)


def test_empty_selectors_select_everything() -> None:
    assert label_selector("") is None
    assert label_selector("  ") is None
    assert field_selector("") is None


@pytest.mark.parametrize("text", ["a=b,", "a in", "a in (", "=b", "a b", "-a=b", "a=b!", "a in x", "a>b", "((("])
def test_malformed_label_selectors(text: str) -> None:
    with pytest.raises(StatusError) as refused:
        label_selector(text)
    assert refused.value.code == 400


@given(st.text(max_size=30))
def test_no_text_breaks_the_parser(text: str) -> None:
    for parse in (label_selector, field_selector):
        code, predicate = 400, None
        try:
            predicate = parse(text)
        except StatusError as error:
            code = error.code
        assert code == 400
        assert predicate is None or predicate(labelled()) in (True, False)


words = st.sampled_from(["a", "b", "c"])
selectors = st.fixed_dictionaries(
    {
        "matchLabels": st.dictionaries(words, words, max_size=2),
        "matchExpressions": st.lists(
            st.one_of(
                st.builds(
                    lambda key, operator, values: {"key": key, "operator": operator, "values": values},
                    words,
                    st.sampled_from(["In", "NotIn"]),
                    st.lists(words, min_size=1, max_size=2),
                ),
                st.builds(
                    lambda key, operator: {"key": key, "operator": operator},
                    words,
                    st.sampled_from(["Exists", "DoesNotExist"]),
                ),
            ),
            max_size=2,
        ),
    }
)


@given(selectors, st.dictionaries(words, words))
def test_a_selector_object_and_its_text_select_the_same(selector: Any, labels: dict[str, str]) -> None:
    predicate = label_selector(selector_text(selector))
    by_text = predicate is None or predicate(labelled(**labels))
    assert by_text == match_labels(selector)(labelled(**labels))


def test_field_selectors() -> None:
    pod = {"metadata": {"name": "x"}, "spec": {"hostNetwork": True}, "status": {"phase": "Running"}}
    for text, expected in {
        "metadata.name=x": True,
        "metadata.name!=x": False,
        "status.phase==Running,metadata.name=x": True,
        "spec.hostNetwork=true": True,
        "spec.nodeName=": True,
        "spec.nodeName!=": False,
    }.items():
        predicate = field_selector(text)
        assert predicate is not None
        assert predicate(pod) is expected, text
    with pytest.raises(StatusError, match=r"field label not supported: spec\.x"):
        field_selector("spec.x=1", frozenset({"metadata.name"}))
    with pytest.raises(StatusError):
        field_selector("nonsense")
