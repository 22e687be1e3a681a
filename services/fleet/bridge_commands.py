"""``nautilus bridge ...``: NautilusTrader nodes and backtests on the bus, both ways."""

from __future__ import annotations

import sys
from typing import Annotated, Literal, NoReturn

import typer

bridge = typer.Typer(no_args_is_help=True, help="Connect NautilusTrader to the fleet, both ways.")

SourceUrl = Annotated[str, typer.Option("--from", envvar="BRIDGE_FROM", help="Redis URL to read.")]
TargetUrl = Annotated[str, typer.Option("--to", envvar="BRIDGE_TO", help="Redis URL to write to.")]
_MARKET_DATA = "marketdata.quote,marketdata.tick,marketdata.bar"

Prefix = Annotated[str, typer.Option(help="Beginning of the fleet's keys.")]


def _refuse(error: ValueError) -> NoReturn:
    sys.stderr.write(f"nautilus bridge: {error}\n")
    raise SystemExit(2)


@bridge.command("from-nautilus-trader")
def from_nautilus_trader(
    source: SourceUrl,
    target: TargetUrl,
    streams: Annotated[list[str] | None, typer.Option("--stream", help="Stream of the node; may be repeated.")] = None,
    match: Annotated[str, typer.Option(help="Pattern of streams; the default without --stream.")] = "",
    kinds: Annotated[str, typer.Option(help="Of market, orders, positions, accounts.")] = "market,orders",
    prefix: Prefix = "{nautilus}",
    name: Annotated[str, typer.Option(help="Keeps its place under this name.")] = "nautilus_trader",
    source_name: Annotated[str, typer.Option("--source", help="Source named by market data.")] = "nautilus_trader",
    synthetic: Annotated[bool, typer.Option("--synthetic", help="Nothing real stands behind the data.")] = False,
    currency: Annotated[str, typer.Option(help="Of instruments that the stream does not define.")] = "",
    newest: Annotated[bool, typer.Option("--newest", help="Begin with what is new, not with what is kept.")] = False,
    accept_loss: Annotated[bool, typer.Option("--accept-loss", help="Go on though entries were trimmed.")] = False,
) -> None:
    """Publish what a node or backtest writes to Redis as our events, exactly once, until stopped."""
    from libs.bridges.nautilus_trader.inbound import NodeStreams
    from libs.bridges.nautilus_trader.translator import Translator
    from libs.messagebus import RedisTransport
    from libs.messagebus.redis.address import RedisAddress
    from libs.messagebus.redis.pool import ConnectionPool
    from libs.messagebus.relay import Relay
    from services.fleet.bridging import run_until_told

    try:
        wanted = [part.strip() for part in kinds.split(",") if part.strip()]
        translator = Translator(wanted, source_name, synthetic, currency)  # type: ignore[arg-type]
        pattern = match or ("" if streams else "trader-*:stream*")
        pool = ConnectionPool(RedisAddress.parse(source))
        nodes = NodeStreams(pool, translator, streams or (), pattern, from_newest=newest, accept_loss=accept_loss)
        RedisTransport(target, prefix)
    except ValueError as error:
        _refuse(error)
    relay = Relay(f"bridge:{name}", nodes, lambda: RedisTransport(target, prefix))
    code = run_until_told("bridge", relay.run, pool.close)
    left = ", ".join(f"{count} {kind}" for kind, count in sorted(translator.left.items())) or "none"
    sys.stderr.write(
        f"nautilus bridge: {nodes.events} events, {nodes.dead} dead letters, {relay.failures} attempts repeated; "
        f"without a counterpart: {left}\n"
    )
    raise SystemExit(code)


@bridge.command("to-nautilus-trader")
def to_nautilus_trader(
    source: SourceUrl,
    target: TargetUrl,
    stream: Annotated[str, typer.Option(help="One of the node's external_streams.")],
    topics: Annotated[
        str, typer.Option(help="Of quotes, trades and bars.")
    ] = "marketdata.quote,marketdata.tick,marketdata.bar",
    encoding: Annotated[
        Literal["json", "msgpack"], typer.Option(help="As in the node's MessageBusConfig.")
    ] = "msgpack",
    bars: Annotated[Literal["LAST", "MID", "BID", "ASK"], typer.Option(help="What our bars are made of.")] = "LAST",
    digits: Annotated[list[str] | None, typer.Option(help="SYMBOL=PRICE,SIZE decimals; may be repeated.")] = None,
    prefix: Prefix = "{nautilus}",
    oldest: Annotated[bool, typer.Option("--oldest", help="Begin with what is kept, not with what is new.")] = False,
) -> None:
    """Write our market data to a stream that a node reads as external, each message once, until stopped."""
    from libs.bridges.nautilus_trader.outbound import NodeFeed
    from libs.messagebus import RedisTransport
    from libs.messagebus.redis.address import RedisAddress
    from libs.messagebus.redis.pool import ConnectionPool
    from services.fleet.bridging import run_until_told, topics_named

    try:
        bus, pool = RedisTransport(source, prefix), ConnectionPool(RedisAddress.parse(target))
        feed = NodeFeed(
            bus, pool, stream, topics_named(topics), encoding=encoding, price_type=bars,
            digits=dict(map(_digits, digits or ())), from_oldest=oldest,
        )  # fmt: skip
    except ValueError as error:
        _refuse(error)

    async def close() -> None:
        await pool.close()
        await bus.close()

    code = run_until_told("bridge", feed.run, close)
    left = ", ".join(f"{count} {kind}" for kind, count in sorted(feed.left.items()) if count) or "none"
    sys.stderr.write(f"nautilus bridge: {feed.messages} messages; not expressed: {left}\n")
    raise SystemExit(code)


def _digits(text: str) -> tuple[str, object]:
    from libs.bridges.nautilus_trader.words import Digits

    symbol, _, places = text.rpartition("=")
    price, _, size = places.partition(",")
    if not (symbol and price.isascii() and price.isdigit() and size.isascii() and size.isdigit()):
        raise ValueError(f"digits must be SYMBOL=PRICE,SIZE, was '{text}'; write e.g. AUD/USD.SIM=5,0")
    return symbol, Digits(int(price), int(size))
