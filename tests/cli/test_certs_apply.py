"""`gatewright certs --apply` against the embedded API."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from gatewright.cluster import Client
from gatewright.local.apiserver import ApiServer, Store
from gatewright.model.core import Secret
from gatewright.model.meta import Key


async def test_apply_puts_the_secret_into_the_cluster(tmp_path: Path) -> None:
    async with ApiServer(Store.memory()) as server:
        kubeconfig = server.write_kubeconfig(tmp_path / "kubeconfig")
        arguments = ("certs", "a.example.com", "--apply", "-n", "default", "--kubeconfig", str(kubeconfig))
        process = await asyncio.create_subprocess_exec(
            Path(sys.executable).with_name("gatewright"), *arguments, stdout=asyncio.subprocess.PIPE
        )
        out, _ = await process.communicate()
        assert process.returncode == 0
        assert out == b"secret/gateway-tls applied in namespace default\n"
        async with Client.connect(kubeconfig) as client:
            secret = await client.get(Secret, Key("default", "gateway-tls"))
        assert secret.data["tls.crt"].startswith(b"-----BEGIN CERTIFICATE")
