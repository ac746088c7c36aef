"""AWS for a controller that some calls are refused to, or that dies at one of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from gatewright.aws import Aws

Objection = Callable[[str, Mapping[str, Any]], Exception | None]


class Objecting(Aws):
    """Passes calls on unless `objection` has an exception for them; it is asked by `service:operation`."""

    def __init__(self, aws: Aws, objection: Objection) -> None:
        self._aws = aws
        self._objection = objection
        self.calls = aws.calls

    async def call(self, service: str, operation: str, **parameters: Any) -> dict[str, Any]:
        self._object(service, operation, parameters)
        return await self._aws.call(service, operation, **parameters)

    async def pages(self, service: str, operation: str, items: str, **parameters: Any) -> list[Any]:
        self._object(service, operation, parameters)
        return await self._aws.pages(service, operation, items, **parameters)

    def _object(self, service: str, operation: str, parameters: Mapping[str, Any]) -> None:
        error = self._objection(f"{service}:{operation}", parameters)
        if error is not None:
            raise error
