"""The TCP, UDP and DNS servers of the conformance images, met by real clients."""

import asyncio
import contextlib
import json
import socket

import dns.asyncquery
import dns.flags
import dns.message
import dns.rcode
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.workloads.program_pods import ECHO, Pod, client_tls, running

from gatewright.local.workloads.corefile import CorefileError, parse_corefile
from gatewright.local.workloads.images import behaviour
from gatewright.local.workloads.line_echo import WELCOME
from gatewright.local.workloads.program import Behaviour, Port, Program


class TestTcp:
    async def test_the_dialogue(self) -> None:
        async with running(TCP_ECHO_SERVER="1") as pod:
            reader, writer = await asyncio.open_connection("127.0.0.1", pod.port(3000))
            assert await asyncio.wait_for(reader.readline(), 60) == WELCOME
            writer.write(b"PING\r\nunknown\nIS_TLS\nTE")
            assert await asyncio.wait_for(reader.readline(), 60) == b"PONG\n"
            assert await asyncio.wait_for(reader.readline(), 60) == b"false\n"
            writer.write(b"ST\n")
            assert json.loads(await asyncio.wait_for(reader.readline(), 60)) == {
                "namespace": "ns",
                "ingress": "ing",
                "service": "svc",
                "pod": "pod-1",
                "tcpport": "3000",
                "tlsport": "8443",
                "isTLS": False,
            }
            writer.close()

    async def test_behind_tls(self) -> None:
        async with running(TCP_ECHO_SERVER="1", TLS_SERVER_CERT="/tls/crt", TLS_SERVER_PRIV_KEY="/tls/key") as pod:
            reader, writer = await asyncio.open_connection(
                "127.0.0.1", pod.port(8443), ssl=client_tls(), server_hostname="abc.example.com"
            )
            assert await asyncio.wait_for(reader.readline(), 60) == WELCOME
            writer.write(b"IS_TLS\nTEST\n")
            assert await asyncio.wait_for(reader.readline(), 60) == b"true\n"
            tls = json.loads(await asyncio.wait_for(reader.readline(), 60))["tls"]
            assert (tls["version"], tls["serverName"]) == ("TLS 1.3", "abc.example.com")
            writer.close()

    async def test_draining_ends_the_connection(self) -> None:
        async with running(TCP_ECHO_SERVER="1") as pod:
            reader, writer = await asyncio.open_connection("127.0.0.1", pod.port(3000))
            await asyncio.wait_for(reader.readline(), 60)
            await pod.drain()
            assert await asyncio.wait_for(reader.read(), 60) == b""
            writer.close()

    @given(st.lists(st.binary(max_size=40), max_size=20))
    def test_the_answers_are_the_same_however_the_lines_are_cut(self, pieces: list[bytes]) -> None:
        echo = behaviour(Program(ECHO, env={"TCP_ECHO_SERVER": "1"}))
        whole = b"PING\n".join(pieces)
        at_once = echo.session(Port(3000, "stream"), None).receive(whole)
        session = echo.session(Port(3000, "stream"), None)
        assert b"".join(session.receive(whole[i : i + 1]) or b"" for i in range(len(whole))) == at_once


async def datagram(port: int, data: bytes) -> bytes:
    """Send a datagram and return what comes back."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.setblocking(False)
        client.connect(("127.0.0.1", port))
        loop = asyncio.get_running_loop()
        await loop.sock_sendall(client, data)
        return await asyncio.wait_for(loop.sock_recv(client, 65536), 60)


class TestUdp:
    async def test_a_datagram_comes_back_with_the_pod(self) -> None:
        async with running(UDP_ECHO_SERVER="1", UDP_PORT="9000") as pod:
            answer = json.loads(await datagram(pod.port(9000), b"probe <1>"))
            assert answer == {
                "request": "probe <1>",
                "namespace": "ns",
                "ingress": "ing",
                "service": "svc",
                "pod": "pod-1",
            }
            assert len(json.loads(await datagram(pod.port(9000), b"x" * 2000))["request"]) == 1024
        assert pod.log[0].startswith("Received UDP probe <1> from 127.0.0.1:")

    def test_an_unknown_image_answers_datagrams_with_what_it_is(self) -> None:
        stand_in = behaviour(Program("dns:1", "ns", "pod-1", ports=(53,), udp_ports=(53,)))
        tcp, udp = stand_in.ports
        assert (tcp.socket, udp.socket) == (("TCP", 53), ("UDP", 53))
        answer = stand_in.reply(b"probe", ("127.0.0.1", 1), udp)
        assert isinstance(answer, bytes)
        body = json.loads(answer)
        assert (body["standIn"], body["pod"], body["port"], body["datagram"]) == (True, "pod-1", 53, "probe")

    def test_it_listens_on_its_port_over_udp(self) -> None:
        [port] = Pod(UDP_ECHO_SERVER="1").behaviour.ports
        assert port.socket == ("UDP", 8080)


def core_dns(corefile: str) -> Behaviour:
    return Pod("registry.k8s.io/coredns/coredns:v1.12.2", ("-conf", "/root/Corefile"), COREFILE=corefile).behaviour


class TestCoreDns:
    SUITES = """
        .:53 {
            forward . 127.0.0.1:1   # nobody there
            log
            errors
        }
        foo.bar.com:53 {
          whoami
        }
    """
    ARGS = ("-conf", "/root/Corefile")

    async def ask(self, pod: Pod, name: str, kind: str = "A") -> dns.message.Message:
        return await dns.asyncquery.udp(dns.message.make_query(name, kind), "127.0.0.1", 60, pod.port(53))

    async def test_whoami_tells_who_asks(self) -> None:
        async with running("coredns/coredns:1.12.2", self.ARGS, COREFILE=self.SUITES) as pod:
            answer = await self.ask(pod, "foo.bar.com.")
            assert answer.rcode() == dns.rcode.NOERROR
            assert answer.flags & dns.flags.AA
            address, service = (rrset.to_text() for rrset in answer.additional)
            assert address == "foo.bar.com. 0 IN A 127.0.0.1"
            assert service.startswith("_udp.foo.bar.com. 0 IN SRV 0 0 ")

    async def test_a_server_that_cannot_be_reached_is_a_failure(self) -> None:
        async with running("coredns/coredns:1.12.2", self.ARGS, COREFILE=self.SUITES) as pod:
            answer = await self.ask(pod, "example.org.")
            assert answer.rcode() == dns.rcode.SERVFAIL
        assert any("plugin/errors" in line for line in pod.log)
        assert any('"A IN example.org. udp' in line and "SERVFAIL" in line for line in pod.log)

    async def test_forward_asks_the_other_server(self) -> None:
        async with running("coredns", self.ARGS, COREFILE=".:53 {\nhosts {\n192.0.2.1 a.test\nttl 5\n}\n}\n") as above:
            corefile = f".:53 {{\nforward . dns://127.0.0.1:{above.port(53)}\n}}\n"
            async with running("coredns", self.ARGS, COREFILE=corefile) as pod:
                answer = await self.ask(pod, "a.test.")
                assert [rrset.to_text() for rrset in answer.answer] == ["a.test. 5 IN A 192.0.2.1"]
                assert (await self.ask(pod, "A.TEST.", "AAAA")).answer == []
                assert (await self.ask(pod, "b.test.")).rcode() == dns.rcode.NXDOMAIN

    async def test_names_of_no_zone_are_refused(self) -> None:
        async with running("coredns", self.ARGS, COREFILE="foo.bar.com:53 {\n whoami\n}\n") as pod:
            assert (await self.ask(pod, "example.org.")).rcode() == dns.rcode.REFUSED

    def test_without_a_corefile_it_is_whoami_everywhere(self) -> None:
        assert [port.socket for port in Pod("coredns/coredns", ("-p=1053",)).behaviour.ports] == [("UDP", 1053)]

    @pytest.mark.parametrize(
        ("corefile", "message"),
        [
            (".:53 {\n kubernetes\n}\n", "Unknown directive 'kubernetes'"),
            (".:53 {\n whoami\n", "Unexpected EOF"),
            ("tls://.:53 {\n whoami\n}\n", "dns:// only"),
            (".:53 {\n hosts {\n nonsense x\n }\n}\n", "unknown property 'nonsense'"),
        ],
    )
    def test_what_cannot_be_served_ends_it_and_is_said(self, corefile: str, message: str) -> None:
        end = core_dns(corefile).exit
        assert end is not None
        assert message in end.lines[0]

    @given(st.text(alphabet='ab.:{}\n "#/', max_size=60))
    def test_a_corefile_is_read_or_refused(self, corefile: str) -> None:
        with contextlib.suppress(CorefileError):
            assert all(0 < zone.port < 65536 for zone in parse_corefile(corefile, {}))

    @given(st.binary(max_size=100))
    def test_no_datagram_breaks_it(self, data: bytes) -> None:
        core_dns("foo.bar.com {\n whoami\n}\n").reply(data, ("127.0.0.1", 1), Port(53, "datagram"))
