"""A port that speaks HTTP, as its connections see it."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from typing import Literal

from gatewright.local.workloads.exchange import Answer, Conversation, Request
from gatewright.local.workloads.listener import Listener

HttpVersion = Literal["http", "h2c", "http2"]
Respond = Callable[[Request], Answer]
Answered = Callable[[Request, Answer, float], None]
Converse = Callable[[Request], Conversation | Answer | None]


def _no_conversation(_: Request) -> Conversation | Answer | None:
    return None


class Endpoint(Listener):
    """A port that speaks HTTP; how its connections do is in `server`.

    `respond` makes the answer to a request; `answered` is told after it was written, with the seconds that it took.
    `converse` takes HTTP/2 requests that are answered while their body arrives. `protocol` says which versions are
    spoken; see `program.Protocol`.
    """

    def __init__(
        self,
        respond: Respond,
        answered: Answered | None = None,
        *,
        converse: Converse = _no_conversation,
        protocol: HttpVersion = "http",
        tls: ssl.SSLContext | None = None,
    ) -> None:
        super().__init__(tls)
        self.respond = respond
        self.answered = answered
        self.converse = converse
        self.protocol = protocol

    def answer(self, request: Request) -> Answer:
        """The answer to a request."""
        return self.respond(request)
