"""The gRPC server of `echo-basic` (github.com/kubernetes-sigs/gateway-api-conformance-images, echo-basic/grpc)."""

from __future__ import annotations

from typing import Any

from gatewright.local.workloads.descriptors import ProtoFile
from gatewright.local.workloads.exchange import Answer, Conversation, Request
from gatewright.local.workloads.grpc_reflection import reflection
from gatewright.local.workloads.grpc_wire import UNIMPLEMENTED, Method, Services, Status, metadata, open_call
from gatewright.local.workloads.program import Behaviour, Exit, Port, Program, port_number
from gatewright.local.workloads.tls import server_context

PROTO = ProtoFile(
    "grpcecho.proto",
    "gateway_api_conformance.echo_basic.grpcecho",
    {
        "Header": [(1, "string", "key"), (2, "string", "value")],
        "Context": [
            (1, "string", "namespace"),
            (2, "string", "ingress"),
            (3, "string", "service_name"),
            (4, "string", "pod"),
        ],
        "TLSAssertions": [
            (1, "string", "version"),
            (2, "string", "negotiated_protocol"),
            (3, "string", "server_name"),
            (4, "string", "cipher_suite"),
            (5, "repeated string", "peer_certificates"),
        ],
        "Assertions": [
            (1, "string", "fully_qualified_method"),
            (2, "repeated Header", "headers"),
            (3, "string", "authority"),
            (4, "Context", "context"),
            (5, "TLSAssertions", "tls_assertions"),
        ],
        "EchoRequest": [],
        "EchoResponse": [(1, "Assertions", "assertions"), (2, "EchoRequest", "request")],
    },
    {
        "GrpcEcho": [
            ("Echo", "EchoRequest", "EchoResponse", False),
            ("EchoTwo", "EchoRequest", "EchoResponse", False),
            ("EchoThree", "EchoRequest", "EchoResponse", False),
        ]
    },
)
SERVICE = PROTO.services[0]


class GrpcEcho(Behaviour):
    """`Echo` and `EchoTwo` tell the call's metadata and the pod; `EchoThree` is not implemented, on purpose."""

    def __init__(self, program: Program) -> None:
        env = program.env
        self._say = program.say
        self._context = {
            "namespace": env.get("NAMESPACE", ""),
            "ingress": env.get("INGRESS_NAME", ""),
            "service_name": env.get("SERVICE_NAME", ""),
            "pod": env.get("POD_NAME", ""),
        }
        numbers: dict[str, int] = {}
        for variable, default in (("HTTP_PORT", "3000"), ("HTTPS_PORT", "8443")):
            text = env.get(variable) or default
            number = port_number(text)
            if number is None:
                why = f"""non-integer value in {variable} '{text}': strconv.Atoi: parsing "{text}": invalid syntax"""
                self.exit = Exit(1, (why,))
                return
            numbers[variable] = number
        ports = [Port(numbers["HTTP_PORT"], "http2")]
        greeting = [f"plaintext server listening at 0.0.0.0:{numbers['HTTP_PORT']}"]
        certificate, key = env.get("TLS_SERVER_CERT"), env.get("TLS_SERVER_PRIV_KEY")
        if certificate and key:
            try:
                tls = server_context(program.file(certificate), program.file(key), protocols=["h2"])
            except (OSError, ValueError) as error:
                self.exit = Exit(1, (*greeting, f"failed to create credentials: {error}"))
                return
            ports.append(Port(numbers["HTTPS_PORT"], "http2", tls))
            greeting.append(f"secure server listening at 0.0.0.0:{numbers['HTTPS_PORT']}")
        self.ports, self.greeting = tuple(ports), tuple(greeting)
        self._services: Services = {
            SERVICE: {
                "Echo": Method(lambda message, request: self._echo("Echo", message, request)),
                "EchoTwo": Method(lambda message, request: self._echo("EchoTwo", message, request)),
                "EchoThree": Method(_unimplemented),
            },
            **reflection([PROTO]),
        }

    def converse(self, request: Request, port: Port) -> Conversation | Answer | None:
        """Every request is a call."""
        return open_call(self._services, request)

    def _echo(self, method: str, message: bytes, request: Request) -> bytes:
        tls = request.tls
        self._say(f"Received over {'TLS' if tls else 'plaintext'}: ")
        headers = metadata(request)
        assertions: dict[str, Any] = {
            "fully_qualified_method": f"/{SERVICE}/{method}",
            "headers": [PROTO.messages["Header"](key=name, value=value) for name, value in headers],
            "authority": next((value for name, value in headers if name == ":authority"), ""),
            "context": PROTO.messages["Context"](**self._context),
        }
        if tls:
            assertions["tls_assertions"] = PROTO.messages["TLSAssertions"](
                version=tls.version,
                negotiated_protocol=tls.protocol,
                server_name=tls.server_name,
                cipher_suite=tls.cipher_suite,
                peer_certificates=tls.peer_certificates,
            )
        answer = PROTO.messages["EchoResponse"](assertions=PROTO.messages["Assertions"](**assertions))
        return answer.SerializeToString()


def _unimplemented(message: bytes, request: Request) -> bytes:
    raise Status(UNIMPLEMENTED, "method EchoThree not implemented")
