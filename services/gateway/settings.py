"""Settings of the gateway: ``GATEWAY_*``, and where the engines are: ``ENGINE_*_URL``."""

from __future__ import annotations

from pydantic import Field, field_validator

from libs.contracts.fleet import ENGINES, PORTS
from libs.engine.settings import CommaSeparated, EngineSettings, Settings, engine_config


class GatewaySettings(EngineSettings):
    """Read once by the composition root.

    Attributes:
        required: Engines without which the gateway is degraded.
        health_seconds: Between two looks at every engine.
        health_timeout_seconds: After which an engine that does not answer counts as silent.
        reads_per_second: Per user, or per address for who has no token.
        writes_per_second: Likewise.
        logins_per_minute_user: Attempts for one user name.
        logins_per_minute_address: Attempts from one address.
        stale_seconds: After which the console says that what it shows is stale.
    """

    model_config = engine_config("GATEWAY_")

    port: int = PORTS["gateway"]
    required: CommaSeparated = ENGINES
    health_seconds: float = Field(default=2.0, gt=0, le=5, allow_inf_nan=False)
    health_timeout_seconds: float = Field(default=2.0, gt=0, le=10, allow_inf_nan=False)
    reads_per_second: int = Field(default=100, ge=1)
    writes_per_second: int = Field(default=20, ge=1)
    logins_per_minute_user: int = Field(default=5, ge=1)
    logins_per_minute_address: int = Field(default=20, ge=1)
    stale_seconds: float = Field(default=5.0, gt=0, le=600, allow_inf_nan=False)

    @field_validator("required")
    @classmethod
    def _are_engines(cls, required: tuple[str, ...]) -> tuple[str, ...]:
        unknown = [name for name in required if name not in ENGINES]
        if unknown:
            raise ValueError(f"must name engines ({', '.join(ENGINES)}), was {', '.join(unknown)}")
        return required


def _url(name: str) -> str:
    return f"http://127.0.0.1:{PORTS[name]}"


class EngineUrls(Settings):
    """Where each engine's HTTP surface is; the defaults are those of one machine.

    An engine with a hot standby has several, separated by commas: the gateway asks whichever of them leads.
    """

    model_config = engine_config("ENGINE_")

    analytics_url: str = _url("analytics")
    risk_url: str = _url("risk")
    factor_url: str = _url("factor")
    ml_url: str = _url("ml")
    features_url: str = _url("features")
    websocket_url: str = _url("websocket")
    strategy_url: str = _url("strategy")
    marketdata_url: str = _url("marketdata")
    portfolio_url: str = _url("portfolio")
    collateral_url: str = _url("collateral")

    @field_validator("*")
    @classmethod
    def _is_http(cls, urls: str) -> str:
        places = [url.strip().rstrip("/") for url in urls.split(",")]
        for url in places:
            if not url.startswith("http://") or url == "http:":
                raise ValueError(f"must be the http:// address of an engine, was '{url}'; e.g. http://risk:8200")
        return ",".join(places)

    def places(self, engine: str) -> tuple[str, ...]:
        """The addresses of the processes of ``engine``."""
        return tuple(str(getattr(self, f"{engine}_url")).split(","))

    def of(self, engine: str) -> str:
        """The first address of ``engine``."""
        return self.places(engine)[0]
