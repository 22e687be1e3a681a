"""Redis URLs: what they mean, and that secrets stay in them."""

from __future__ import annotations

import pytest

from libs.messagebus import RedisTransport
from libs.messagebus.redis.address import RedisAddress

SECRET = "s3cr#t/p@ss"
ENCODED = "s3cr%23t%2Fp%40ss"


@pytest.mark.parametrize(
    ("url", "label", "login"),
    [
        ("redis://example", "redis://example:6379/0", ("", "")),
        ("redis://10.0.0.5:7000/3", "redis://10.0.0.5:7000/3", ("", "")),
        (f"redis://:{ENCODED}@example", "redis://example:6379/0", ("", SECRET)),
        (f"redis://al%20ice:{ENCODED}@example/1", "redis://example:6379/1", ("al ice", SECRET)),
        ("redis://[::1]:7000", "redis://::1:7000/0", ("", "")),
        ("rediss://example?ssl_ca_certs=/etc/ca.pem", "rediss://example:6379/0", ("", "")),
        ("unix:///run/redis.sock?db=2", "unix:///run/redis.sock?db=2", ("", "")),
        (f"unix://:{ENCODED}@/run/re%20dis.sock", "unix:///run/re dis.sock?db=0", ("", SECRET)),
        ("redis+sentinel://a,b:7000/fleet", "redis+sentinel://a:26379,b:7000/fleet/0", ("", "")),
        (
            f"rediss+sentinel://al%20ice:{ENCODED}@a,[::1]:7/fleet/2?sentinel_password={ENCODED}&ssl_ca_certs=/etc/ca.pem",
            "rediss+sentinel://a:26379,::1:7/fleet/2",
            ("al ice", SECRET),
        ),
        (f"redis+cluster://:{ENCODED}@a,b:7000", "redis+cluster://a:6379,b:7000", ("", SECRET)),
    ],
)
def test_urls_are_understood(url: str, label: str, login: tuple[str, str]) -> None:
    address = RedisAddress.parse(url)
    assert address.label == label
    assert (address.username, address.password) == login
    assert (address.tls_files is not None) == url.startswith("rediss")


@pytest.mark.parametrize(
    "url",
    [
        f"http://user:{ENCODED}@example",
        f"redis://user:{ENCODED}@example:port",
        "redis://:p@s3cr#t",  # a piece of the password would become the host
        "redis://:p@s3cr et@example s3cr",
        f"redis://user:{SECRET}@example",  # not encoded: '#' and '/' cut the URL in pieces
        f"redis://user:{ENCODED}@",
        f"redis://user:{ENCODED}@example/{SECRET}",
        f"redis://user:{ENCODED}@example?password={ENCODED}",
        f"rediss://user:{ENCODED}@example?{ENCODED}=1",
        f"redis://[user:{ENCODED}@example",
        f"unix://user:{ENCODED}@",
        f"redis+sentinel://user:{ENCODED}@a,b",  # no service
        f"redis+sentinel://user:{ENCODED}@a,b/fleet/{ENCODED}",
        f"redis+sentinel://user:{ENCODED}@a,/fleet",
        f"redis+sentinel://user:{SECRET}@a,b/fleet",
        f"redis+sentinel://user:{ENCODED}@a:{ENCODED}/fleet",
        f"redis+cluster://user:{ENCODED}@a,b/1",
        f"redis+cluster://user:{ENCODED}@a?sentinel_password={ENCODED}",
        f"redis+other://user:{ENCODED}@a",
        f"unix+cluster://user:{ENCODED}@a",
        "",
    ],
)
def test_malformed_urls_are_refused_without_being_shown(url: str) -> None:
    with pytest.raises(ValueError) as raised:
        RedisAddress.parse(url)
    chain: BaseException | None = raised.value
    while chain is not None:
        assert "s3cr" not in str(chain)
        chain = None if chain.__suppress_context__ else chain.__context__


def test_secrets_are_not_in_representations() -> None:
    url = f"redis://alice:{ENCODED}@example:7000/1"
    address = RedisAddress.parse(url)
    transport = RedisTransport(url)
    for text in (repr(address), str(address), address.label, repr(transport), str(transport)):
        assert SECRET not in text
        assert ENCODED not in text
    assert repr(transport) == "RedisTransport('redis://example:7000/1', prefix='{nautilus}')"


def test_each_server_of_a_group_is_asked_with_its_own_login() -> None:
    address = RedisAddress.parse(f"redis+sentinel://a,b/fleet/3?sentinel_username=watch&sentinel_password={ENCODED}")
    assert SECRET not in repr(address)
    sentinel, server = address.sentinel_at("a", 1), address.server_at("b", 2)
    assert (sentinel.username, sentinel.password, sentinel.database) == ("watch", SECRET, 0)
    assert (server.username, server.password, server.database) == ("", "", 3)
    assert SECRET not in repr(sentinel) + repr(server)
    assert (sentinel.label, server.label) == ("redis://a:1/0", "redis://b:2/3")


def test_keys_that_would_spread_over_a_cluster_are_refused() -> None:
    with pytest.raises(ValueError, match="name in braces, was 'fleet'"):
        RedisTransport("redis+cluster://a", "fleet")


def test_missing_certificates_are_reported() -> None:
    address = RedisAddress.parse("rediss://example?ssl_ca_certs=/nowhere/ca.pem")
    with pytest.raises(OSError):
        address.tls_context()
