"""Where a Redis server is and how to log in, from one URL whose secrets never leave it."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, unquote, urlsplit

_SCHEMES = ("redis", "rediss", "unix")
_TLS_OPTIONS = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile")


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
    """

    host: str
    port: int
    path: str
    database: int
    username: str
    password: str = field(repr=False)
    tls_files: tuple[str, str, str] | None = None

    @classmethod
    def parse(cls, url: str) -> RedisAddress:
        """Parse ``redis://[[user]:password@]host[:port][/database]``, ``rediss://...`` or ``unix:///path[?db=0]``.

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
            port = parts.port
        except ValueError:
            raise malformed from None  # the original error quotes the URL
        # A '#', '/' or '?' of the password that is not encoded cuts the URL in the wrong place, and a piece of the
        # password becomes the host, which errors show.
        if parts.fragment or "#" in url or any(letter.isspace() for letter in parts.netloc):
            raise malformed
        if parts.scheme not in _SCHEMES:
            raise ValueError(
                "Redis URL must start with redis://, rediss:// or unix://, was another scheme or none; "
                "write e.g. redis://127.0.0.1:6379/0"
            )
        options = dict(parse_qsl(parts.query, keep_blank_values=True))
        known = ("db",) if parts.scheme == "unix" else _TLS_OPTIONS if parts.scheme == "rediss" else ()
        for name in options:
            if name not in known:
                raise ValueError(
                    f"options of a {parts.scheme}:// URL must be among {list(known)}, was another one; remove it"
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
        return f"{scheme}://{self.host}:{self.port}/{self.database}"

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


def _database(text: str) -> int:
    if not text:
        return 0
    if not (text.isascii() and text.isdigit()):
        raise ValueError("database of the Redis URL must be a number, was something else; write redis://host:6379/0")
    return int(text)


def _tls_files(options: dict[str, str]) -> tuple[str, str, str]:
    first, second, third = (options.get(name, "") for name in _TLS_OPTIONS)
    return first, second, third
