"""Requests and handshakes as clients make them, to addresses of our choice."""

from __future__ import annotations

import asyncio
import ssl
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import aiohttp
from cryptography import x509
from msgspec import Struct
from yarl import URL

SECONDS: Final = 10.0
"""How long one request or handshake may take."""

_KEPT = 300  # characters of a body


class Answer(Struct, frozen=True):
    """What came back; names of headers in lower case, `body` is its beginning."""

    status: int
    headers: dict[str, str]
    body: str = ""

    @property
    def server(self) -> str:
        """Who says that it answered."""
        return self.headers.get("server", "")


class Shown(Struct, frozen=True):
    """How a TLS handshake went. `problem` is what verification says is wrong, empty where nothing is."""

    certificate: bytes
    """DER."""
    version: str
    problem: str = ""

    @property
    def parsed(self) -> x509.Certificate:
        """The certificate that was shown."""
        return x509.load_der_x509_certificate(self.certificate)


class NoAnswerError(Exception):
    """No answer, or no handshake; the text says why. `certificate` says that it is the certificate's fault."""

    def __init__(self, text: str, *, certificate: bool = False) -> None:
        super().__init__(text)
        self.certificate = certificate


def trusting(authorities: Path | None) -> ssl.SSLContext:
    """How clients check certificates: by the authorities of a file, None for the system's. Raises OSError."""
    context = ssl.create_default_context(cafile=authorities)
    context.set_alpn_protocols(["http/1.1"])
    return context


async def ask(
    at: tuple[str, int],
    host: str,
    target: str,
    *,
    tls: ssl.SSLContext | None,
    method: str = "GET",
    headers: Iterable[tuple[str, str]] = (),
) -> Answer:
    """Send one request to an address and port, in the name of `host`, and don't follow where it sends us.

    Raises NoAnswerError.
    """
    address, port = at
    location = f"[{address}]" if ":" in address else address
    url = URL(f"{'https' if tls else 'http'}://{location}:{port}{target}", encoded=True)
    sent = [("Host", host), ("User-Agent", "gatewright-verify"), *headers]
    try:
        async with (
            aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(ssl=tls or False, force_close=True),
                timeout=aiohttp.ClientTimeout(total=SECONDS),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
            ) as session,
            session.request(
                method, url, headers=sent, allow_redirects=False, server_hostname=host if tls else None
            ) as answer,
        ):
            body = await answer.content.read(_KEPT)
            found = {name.lower(): value for name, value in answer.headers.items()}
            return Answer(answer.status, found, body.decode(errors="replace"))
    except aiohttp.ClientConnectorCertificateError as error:
        raise NoAnswerError(f"the certificate is refused: {error.certificate_error}", certificate=True) from error
    except TimeoutError as error:
        raise NoAnswerError(f"no answer within {SECONDS:g} s") from error
    except (aiohttp.ClientError, OSError, ValueError) as error:
        raise NoAnswerError(str(error) or type(error).__name__) from error


async def shake_hands(at: tuple[str, int], name: str | None, trust: ssl.SSLContext | None = None) -> Shown:
    """Make a TLS connection, with a server name or, as an ALB does, without one, and look at what is shown.

    With `trust` the certificate is checked for the name as well. Raises NoAnswerError where there is no handshake.
    """
    seen = await _handshake(at, name, _unchecked())
    if trust is None or name is None:
        return seen
    try:
        await _handshake(at, name, trust)
    except NoAnswerError as error:
        return Shown(seen.certificate, seen.version, str(error))
    return seen


async def speaks_old_tls(at: tuple[str, int], name: str) -> bool:
    """Whether a server takes TLS 1.0 or 1.1 (RFC 8996 forbids both).

    Raises NoAnswerError where that can't be tried.
    """
    context = _unchecked()
    try:
        context.set_ciphers("ALL:@SECLEVEL=0")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # which is why it is tried
            context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
            context.maximum_version = ssl.TLSVersion.TLSv1_1
    except (ssl.SSLError, ValueError) as error:
        raise NoAnswerError(f"the TLS library here can't offer TLS 1.1: {error}") from error
    try:
        await _handshake(at, name, context)
    except NoAnswerError as error:
        if "NO_PROTOCOLS_AVAILABLE" in str(error) or "NO_CIPHERS_AVAILABLE" in str(error):
            raise NoAnswerError("the TLS library here doesn't offer TLS 1.1") from error
        return False
    return True


def _unchecked() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


async def _handshake(at: tuple[str, int], name: str | None, context: ssl.SSLContext) -> Shown:
    address, port = at
    writer: asyncio.StreamWriter | None = None
    try:
        async with asyncio.timeout(SECONDS):
            # An empty server name is none: asyncio takes the address for it where there is None.
            _, writer = await asyncio.open_connection(address, port, ssl=context, server_hostname=name or "")
        session: Any = writer.get_extra_info("ssl_object")
        return Shown(session.getpeercert(binary_form=True) or b"", session.version() or "")
    except ssl.SSLCertVerificationError as error:
        raise NoAnswerError(error.verify_message or str(error), certificate=True) from error
    except TimeoutError as error:
        raise NoAnswerError(f"no handshake within {SECONDS:g} s") from error
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        raise NoAnswerError(str(error) or type(error).__name__) from error
    finally:
        if writer:
            writer.transport.abort()
