"""Envoy and more clients than it can have files open for."""

from __future__ import annotations

import resource
from pathlib import Path

import pytest

from gatewright.envoy.bootstrap import bootstrap, most_connections


@pytest.mark.parametrize(("files", "most"), [(256, 64), (1024, 345), (20000, 8884), (resource.RLIM_INFINITY, 1 << 20)])
def test_each_connection_may_lead_to_another(monkeypatch: pytest.MonkeyPatch, files: int, most: int) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (files, files))
    assert most_connections() == most


def test_the_admin_interface_answers_however_many_clients_there_are() -> None:
    assert bootstrap("n", Path("ads"), Path("admin"))["admin"]["ignore_global_conn_limit"] is True
