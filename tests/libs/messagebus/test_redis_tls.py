"""TLS and Unix sockets against a real server."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from libs.messagebus import TransportError
from libs.messagebus.redis.locks import free_port
from libs.testing.servers import redis_binary
from tests.libs.messagebus.servers_in_use import run, use


def make_certificates(folder: Path) -> None:
    def openssl(*arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)

    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
            "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=test authority")  # fmt: skip
    openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
            "-keyout", "server.key", "-out", "server.csr", "-subj", "/CN=localhost")  # fmt: skip
    (folder / "names").write_text("subjectAltName=DNS:localhost\n")
    openssl("x509", "-req", "-in", "server.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-days", "2",
            "-extfile", "names", "-out", "server.pem")  # fmt: skip


@pytest.fixture
def secured(tmp_path: Path) -> Iterator[tuple[int, Path, Path]]:
    """TLS port, socket path and certificate folder of a server that listens on nothing else."""
    make_certificates(tmp_path)
    port, socket = free_port(), tmp_path / "redis.sock"
    process = subprocess.Popen(
        [redis_binary("system").path, "--port", "0", "--tls-port", str(port), "--tls-cert-file", "server.pem",
         "--tls-key-file", "server.key", "--tls-ca-cert-file", "ca.pem", "--tls-auth-clients", "no",
         "--unixsocket", str(socket), "--save", ""],
        cwd=tmp_path, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        while not socket.exists() and process.poll() is None:
            pass
        yield port, socket, tmp_path
    finally:
        process.terminate()
        process.wait()


def test_tls_verifies_the_server_and_unix_sockets_work(secured: tuple[int, Path, Path]) -> None:
    port, socket, folder = secured
    run(lambda: use(f"rediss://localhost:{port}?ssl_ca_certs={folder / 'ca.pem'}"))
    run(lambda: use(f"unix://{socket}?db=3"))
    for untrusted in (f"rediss://localhost:{port}", f"rediss://127.0.0.1:{port}?ssl_ca_certs={folder / 'ca.pem'}"):
        with pytest.raises(TransportError, match="must be reachable, was not"):
            run(lambda url=untrusted: use(url))
