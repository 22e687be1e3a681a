"""Where a Redis server is and how to log in, from one URL whose secrets never leave it."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field, replace
from typing import Literal
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

Kind = Literal["server", "sentinel", "cluster"]

_SCHEMES = ("redis", "rediss", "unix")
_GROUPS: dict[str, tuple[Kind, int]] = {"sentinel": ("sentinel", 26379), "cluster": ("cluster", 6379)}
"""What follows the ``+`` of a scheme, and the port of a node that names none."""

_TLS_OPTIONS = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile")
_SENTINEL_OPTIONS = ("sentinel_username", "sentinel_password")


@dataclass(frozen=True, slots=True)
class RedisAddress:
    """A parsed Redis URL.

    Attributes:
        host: Host name; ``""`` for a Unix socket.
        port: TCP port; 0 for a Unix socket.
        path: Path of the Unix socket; ``""`` for TCP.
        database: Number of the logical database.
        username: ACL user; ``""`` for the default user.
        password: Kept out of ``repr``, ``str``, :attr:`label` and every error.
        tls_files: Values of ``ssl_ca_certs``, ``ssl_certfile``, ``ssl_keyfile``; None without TLS.
        kind: Whether this is one server, or nodes to ask for one: sentinels, or nodes of a cluster.
        nodes: Those nodes, (host, port) each; empty for a server.
        service: Name under which the sentinels know the primary.
        sentinel_login: User and password of the sentinels themselves, kept as secret as ``password``.
    """

    host: str
    port: int
    path: str
    database: int
    username: str
    password: str = field(repr=False)
    tls_files: tuple[str, str, str] | None = None
    kind: Kind = "server"
    nodes: tuple[tuple[str, int], ...] = ()
    service: str = ""
    sentinel_login: tuple[str, str] = field(default=("", ""), repr=False)

    @classmethod
    def parse(cls, url: str) -> RedisAddress:
        """Parse ``redis://[[user]:password@]host[:port][/database]``, ``rediss://...`` or ``unix:///path[?db=0]``.

        Several nodes that know where the server is are written ``redis+sentinel://host:port,host:port/service[/db]``
        (with ``?sentinel_username=..&sentinel_password=..`` for a login of their own) and
        ``redis+cluster://host:port,host:port``; ``rediss+...`` for TLS. User and password are those of the server.

        ``rediss`` takes ``?ssl_ca_certs=file`` (default: the system's authorities) and, for a client certificate,
        ``&ssl_certfile=file&ssl_keyfile=file``. User and password are percent-decoded.

        Raises:
            ValueError: If the URL is malformed; the text shows no part that may hold a secret.
        """
        malformed = ValueError(
            "Redis URL must be scheme://[[user]:password@]host[:port][/database], was something else; "
            "percent-encode special characters of the password"
        )
        try:
            parts = urlsplit(url)
            port = None if "+" in parts.scheme else parts.port
        except ValueError:
            raise malformed from None  # the original error quotes the URL
        # A '#', '/' or '?' of the password that is not encoded cuts the URL in the wrong place, and a piece of the
        # password becomes the host, which errors show.
        if parts.fragment or "#" in url or any(letter.isspace() for letter in parts.netloc):
            raise malformed
        transport, _, group = parts.scheme.partition("+")
        if group in _GROUPS and transport in ("redis", "rediss"):
            return _parse_group(cls, parts, *_GROUPS[group])
        if parts.scheme not in _SCHEMES:
            raise ValueError(
                "Redis URL must start with redis://, rediss://, unix://, redis+sentinel:// or redis+cluster://, "
                "was another scheme or none; "
                "write e.g. redis://127.0.0.1:6379/0"
            )
        options = _options(
            parts, ("db",) if parts.scheme == "unix" else _TLS_OPTIONS if parts.scheme == "rediss" else ()
        )
        unix = parts.scheme == "unix"
        host, path = ("", unquote(parts.path)) if unix else (parts.hostname or "", "")
        if not (host or path):
            raise ValueError("Redis URL must name a host or a socket path, was without; write redis://host:6379/0")
        return cls(
            host=host,
            port=0 if unix else port or 6379,
            path=path,
            database=_database(options.get("db", "") if unix else parts.path.strip("/")),
            username=unquote(parts.username or ""),
            password=unquote(parts.password or ""),
            tls_files=_tls_files(options) if parts.scheme == "rediss" else None,
        )

    @property
    def label(self) -> str:
        """The address without user, password and options, for logs and errors."""
        if self.path:
            return f"unix://{self.path}?db={self.database}"
        scheme = "redis" if self.tls_files is None else "rediss"
        if self.kind == "server":
            return f"{scheme}://{self.host}:{self.port}/{self.database}"
        nodes = ",".join(f"{host}:{port}" for host, port in self.nodes)
        where = f"/{self.service}/{self.database}" if self.kind == "sentinel" else ""
        return f"{scheme}+{self.kind}://{nodes}{where}"

    def server_at(self, host: str, port: int) -> RedisAddress:
        """The server at ``host``, with the login, TLS and database of this address."""
        return replace(self, host=host, port=port, kind="server", nodes=(), service="", sentinel_login=("", ""))

    def sentinel_at(self, host: str, port: int) -> RedisAddress:
        """The sentinel at ``host``, with the login of the sentinels."""
        username, password = self.sentinel_login
        return replace(self.server_at(host, port), database=0, username=username, password=password)

    def tls_context(self) -> ssl.SSLContext | None:
        """A TLS context that verifies the server's name and certificate, or None where the URL asks for no TLS.

        Raises:
            OSError: If a file cannot be read or is no certificate (``ssl.SSLError`` is an ``OSError``).
        """
        if self.tls_files is None:
            return None
        authorities, certificate, key = self.tls_files
        context = ssl.create_default_context(cafile=authorities or None)
        if certificate:
            context.load_cert_chain(certificate, key or None)
        return context


def _parse_group(cls: type[RedisAddress], parts: SplitResult, kind: Kind, default_port: int) -> RedisAddress:
    login, _, places = parts.netloc.rpartition("@")
    username, _, password = login.partition(":")
    service, _, database = parts.path.strip("/").partition("/")
    options = _options(
        parts,
        (_SENTINEL_OPTIONS if kind == "sentinel" else ()) + (_TLS_OPTIONS if parts.scheme.startswith("rediss") else ()),
    )
    if kind == "sentinel" and not service:
        raise ValueError(
            "Redis URL of sentinels must name the service they watch, was without; "
            "write redis+sentinel://host:26379,host:26379/service/0"
        )
    if kind == "cluster" and (service or database):
        raise ValueError("Redis URL of a cluster must be without a database, was with one; a cluster has only 0")
    nodes = tuple(_node(place, default_port) for place in places.split(","))
    return cls(
        host="",
        port=0,
        path="",
        database=_database(database),
        username=unquote(username),
        password=unquote(password),
        tls_files=_tls_files(options) if parts.scheme.startswith("rediss") else None,
        kind=kind,
        nodes=nodes,
        service=unquote(service),
        sentinel_login=(options.get("sentinel_username", ""), options.get("sentinel_password", "")),
    )


def _node(place: str, default_port: int) -> tuple[str, int]:
    try:
        parts = urlsplit(f"//{place}")
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    if not host or "@" in place or "/" in place:
        raise ValueError(
            "nodes of the Redis URL must be host[:port], separated by commas, was something else; "
            "percent-encode special characters of the password"
        )
    return host, port or default_port


def _options(parts: SplitResult, known: tuple[str, ...]) -> dict[str, str]:
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    for name in options:
        if name not in known:
            raise ValueError(
                f"options of a {parts.scheme}:// URL must be among {list(known)}, was another one; remove it"
            )
    return options


def _database(text: str) -> int:
    if not text:
        return 0
    if not (text.isascii() and text.isdigit()):
        raise ValueError("database of the Redis URL must be a number, was something else; write redis://host:6379/0")
    return int(text)


def _tls_files(options: dict[str, str]) -> tuple[str, str, str]:
    first, second, third = (options.get(name, "") for name in _TLS_OPTIONS)
    return first, second, third
