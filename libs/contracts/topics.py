"""The topic registry: every topic of the fleet, one line each.

``docs/topics.md`` is generated from this table (``python -m services.fleet.catalogue``).
"""

from __future__ import annotations

from typing import Final

from libs.contracts import analysis, jobs, market, orders, portfolio, risk, system
from libs.messagebus.codec import Codec
from libs.messagebus.priority import Priority
from libs.messagebus.topic import Topic, TopicRegistry

URGENT, HIGH, NORMAL, LOW = Priority.URGENT, Priority.HIGH, Priority.NORMAL, Priority.LOW

# -- marketdata ---------------------------------------------------------------------------------
INSTRUMENT = Topic(
    "marketdata.instrument", market.InstrumentDefined, "market", "marketdata", NORMAL, "symbol",
    moves_clock=True, description="an instrument and its trading rules",
)  # fmt: skip
QUOTE = Topic(
    "marketdata.quote", market.QuoteReceived, "market", "marketdata", NORMAL, "symbol", conflate=True,
    moves_clock=True, description="best bid and ask",
)  # fmt: skip
TICK = Topic("marketdata.tick", market.TradeReceived, "market", "marketdata", NORMAL, "symbol",
             moves_clock=True, description="public trades")  # fmt: skip
BAR = Topic("marketdata.bar", market.BarClosed, "market", "marketdata", NORMAL, "symbol",
            moves_clock=True, description="finished bars")  # fmt: skip
CLOSE = Topic("marketdata.close", market.CloseReceived, "market", "marketdata", NORMAL, "symbol",
              moves_clock=True, description="close-only prices")  # fmt: skip
STEP = Topic("marketdata.step", market.StepClosed, "market", "marketdata", NORMAL,
             moves_clock=True, description="a timestamp closed a stage")  # fmt: skip
FEED_STATE = Topic("marketdata.feed.status", market.FeedStateChanged, "market", "marketdata", HIGH, "feed",
                   conflate=True, description="state of a data source")  # fmt: skip
INGEST = Topic("marketdata.ingest", market.IngestMarketData, "inbox.marketdata", "*", NORMAL, "feed",
               moves_clock=True, description="command: publish records of one timestamp")  # fmt: skip
CLOSE_STEP = Topic("marketdata.close_step", market.CloseStep, "inbox.marketdata", "*", NORMAL, "feed",
                   moves_clock=True, description="command: close a stage of a timestamp")  # fmt: skip
CONTROL_FEED = Topic("marketdata.control_feed", market.ControlFeed, "inbox.marketdata", "*", HIGH, "feed",
                     description="command: pause, resume, seek or pace a feed")  # fmt: skip
REPORT_FEED_STATE = Topic("marketdata.report_feed_state", market.ReportFeedState, "inbox.marketdata", "*", NORMAL,
                          "feed", description="command: an adapter tells its state")  # fmt: skip

# -- features, factor, ml, analytics --------------------------------------------------------------
FEATURES = Topic("features.calculated", analysis.FeaturesCalculated, "features", "features", NORMAL, "symbol",
                 conflate=True, description="technical features of an instrument")  # fmt: skip
FACTORS = Topic("factors.calculated", analysis.FactorsCalculated, "factors", "factor", NORMAL, "symbol",
                conflate=True, description="cross-sectional factors of an instrument")  # fmt: skip
FACTOR_PANEL = Topic("factors.panel", analysis.FactorPanelCalculated, "factors", "factor", LOW,
                     description="one date of the whole universe is done")  # fmt: skip
PREDICTION = Topic("ml.predictions", analysis.PredictionMade, "ml", "ml", NORMAL, "symbol", conflate=True,
                   description="next-period return forecasts with their out-of-sample record")  # fmt: skip
TRAINING = Topic("ml.training_updates", analysis.ModelTrained, "ml", "ml", LOW, "model_id",
                 description="a model version was fitted")  # fmt: skip
PERFORMANCE = Topic("analytics.results", analysis.PerformanceCalculated, "analytics", "analytics", LOW,
                    "portfolio_id", conflate=True, description="performance of a portfolio")  # fmt: skip
VOLATILITY = Topic("volatility.forecast", analysis.VolatilityForecast, "analytics", "analytics", NORMAL, "symbol",
                   conflate=True, description="volatility forecasts")  # fmt: skip

# -- strategy -------------------------------------------------------------------------------------
SIGNAL = Topic("strategy.signal", orders.SignalGenerated, "strategy", "strategy", HIGH, "strategy_id",
               description="what a strategy wants")  # fmt: skip
STRATEGY_STATE = Topic("strategy.state", orders.StrategyStateChanged, "strategy", "strategy", HIGH, "strategy_id",
                       description="a strategy started, stopped or failed")  # fmt: skip
STRATEGY_LOG = Topic("strategy.log", orders.StrategyLogged, "strategy", "strategy", LOW, "strategy_id",
                     description="what a strategy wrote")  # fmt: skip
ORDER_SUBMITTED = Topic("orders.submitted", orders.OrderSubmitted, "orders", "strategy", HIGH, "client_order_id",
                        description="an order that passed the gate")  # fmt: skip
ORDER_DENIED = Topic("orders.denied", orders.OrderDenied, "orders", "strategy", HIGH, "client_order_id",
                     description="an order the gate refused")  # fmt: skip
ORDER_ACCEPTED = Topic("orders.accepted", orders.OrderAccepted, "orders", "strategy", HIGH, "client_order_id",
                       description="the venue works it")  # fmt: skip
ORDER_REJECTED = Topic("orders.rejected", orders.OrderRejected, "orders", "strategy", HIGH, "client_order_id",
                       description="the venue refused it")  # fmt: skip
ORDER_CANCEL_REQUESTED = Topic("orders.cancel_requested", orders.OrderCancelRequested, "orders", "strategy", HIGH,
                               "client_order_id", description="a cancel on its way to the venue")  # fmt: skip
ORDER_CANCELLED = Topic("orders.cancelled", orders.OrderCancelled, "orders", "strategy", HIGH, "client_order_id",
                        description="gone")  # fmt: skip
ORDER_EXPIRED = Topic("orders.expired", orders.OrderExpired, "orders", "strategy", HIGH, "client_order_id",
                      description="its time in force ended")  # fmt: skip
ORDER_UNKNOWN = Topic("orders.unknown", orders.OrderUnknown, "orders", "strategy", HIGH, "client_order_id",
                      description="nobody knows what the venue did")  # fmt: skip
ORDER_FILLED = Topic("orders.filled", orders.OrderFilled, "orders", "strategy", HIGH, "client_order_id",
                     description="one execution")  # fmt: skip
EXECUTION_REPORT = Topic("venue.report", orders.ExecutionReported, "venue", "paper", HIGH, "client_order_id",
                         description="what the venue says about an order")  # fmt: skip
PLACE_ORDER = Topic("strategy.place_order", orders.PlaceOrder, "inbox.strategy", "*", HIGH, "symbol",
                    description="command: place an order")  # fmt: skip
CANCEL_ORDER = Topic("strategy.cancel_order", orders.CancelOrder, "inbox.strategy", "*", HIGH, "client_order_id",
                     description="command: cancel an order")  # fmt: skip
CANCEL_ALL_ORDERS = Topic("strategy.cancel_all_orders", orders.CancelAllOrders, "inbox.strategy", "*", HIGH,
                          description="command: cancel all working orders")  # fmt: skip
SET_STRATEGY_STATE = Topic("strategy.set_state", orders.SetStrategyState, "inbox.strategy", "*", HIGH, "strategy_id",
                           description="command: start, pause or stop a strategy")  # fmt: skip

# -- portfolio ------------------------------------------------------------------------------------
PORTFOLIO_CREATED = Topic("portfolio.created", portfolio.PortfolioCreated, "portfolio", "portfolio", HIGH,
                          "portfolio_id", description="a portfolio exists")  # fmt: skip
POSITION = Topic("portfolio.position.updated", portfolio.PositionUpdated, "portfolio", "portfolio", HIGH, "symbol",
                 description="a position after a fill")  # fmt: skip
PORTFOLIO_SNAPSHOT = Topic("portfolio.snapshot", portfolio.PortfolioSnapshotTaken, "portfolio", "portfolio", NORMAL,
                           "portfolio_id", conflate=True, description="valuation of a portfolio")  # fmt: skip
CASH = Topic("portfolio.cash", portfolio.CashMoved, "portfolio", "portfolio", HIGH, "portfolio_id",
             description="cash moved other than by a fill")  # fmt: skip
RECORD_CASH_FLOW = Topic("portfolio.record_cash_flow", portfolio.RecordCashFlow, "inbox.portfolio", "*", HIGH,
                         "portfolio_id", description="command: record a cash flow")  # fmt: skip
CREATE_PORTFOLIO = Topic("portfolio.create", portfolio.CreatePortfolio, "inbox.portfolio", "*", HIGH,
                         "portfolio_id", description="command: open a portfolio")  # fmt: skip

# -- risk, collateral -----------------------------------------------------------------------------
LIMIT_UPDATED = Topic("risk.limits.updated", risk.LimitUpdated, "risk", "risk", NORMAL, "limit_id",
                      description="a limit was created, changed or removed")  # fmt: skip
EXPOSURE = Topic("risk.exposure", risk.ExposureCalculated, "risk", "risk", NORMAL, "portfolio_id", conflate=True,
                 description="exposures of a portfolio")  # fmt: skip
RISK_ANALYTICS = Topic("risk.analytics.computed", risk.RiskCalculated, "risk", "risk", NORMAL, "portfolio_id",
                       conflate=True, description="value at risk and expected shortfall")  # fmt: skip
BREACH_DETECTED = Topic("risk.breach.detected", risk.BreachDetected, "risk", "risk", HIGH, "limit_id",
                        description="a limit is breached")  # fmt: skip
BREACH_RESOLVED = Topic("risk.breach.resolved", risk.BreachResolved, "risk", "risk", HIGH, "limit_id",
                        description="a breach ended")  # fmt: skip
HALT = Topic("system.halt", risk.HaltChanged, "risk", "risk", URGENT, "target",
             description="trading is halted or released")  # fmt: skip
SET_LIMIT = Topic("risk.set_limit", risk.SetLimit, "inbox.risk", "*", HIGH, "limit_id",
                  description="command: create or replace a limit")  # fmt: skip
DELETE_LIMIT = Topic("risk.delete_limit", risk.DeleteLimit, "inbox.risk", "*", HIGH, "limit_id",
                     description="command: remove a limit")  # fmt: skip
RESOLVE_BREACH = Topic("risk.resolve_breach", risk.ResolveBreach, "inbox.risk", "*", HIGH, "breach_id",
                       description="command: close a breach by hand")  # fmt: skip
HALT_TRADING = Topic("risk.halt_trading", risk.HaltTrading, "inbox.risk", "*", URGENT, "target",
                     description="command: halt trading")  # fmt: skip
RESUME_TRADING = Topic("risk.resume_trading", risk.ResumeTrading, "inbox.risk", "*", URGENT, "target",
                       description="command: lift a halt")  # fmt: skip
MARGIN = Topic("margin.status", risk.MarginCalculated, "margin", "collateral", NORMAL, "portfolio_id", conflate=True,
               description="margin of a portfolio")  # fmt: skip
MARGIN_ALERT = Topic("margin.alert", risk.MarginAlertRaised, "margin", "collateral", URGENT, "portfolio_id",
                     description="margin utilisation crossed a threshold")  # fmt: skip

# -- system ---------------------------------------------------------------------------------------
HEARTBEAT = Topic("system.heartbeat", system.HeartbeatSent, "system", "*", LOW, "engine", retention=2_000,
                  conflate=True, description="an engine process is alive")  # fmt: skip
ENGINE_STATE = Topic("system.engine", system.EngineStateChanged, "system", "*", HIGH, "engine", retention=10_000,
                     description="an engine changed state")  # fmt: skip
DEAD_LETTER = Topic("system.dead_letter", system.EventDeadLettered, "dead_letters", "*", NORMAL, "engine",
                    description="an event that could not be handled")  # fmt: skip
JOB = Topic("system.job", jobs.JobProgressed, "jobs", "*", LOW, "job_id", conflate=True,
            description="how far a job is, or that it is tried again or given up")  # fmt: skip

ALL_TOPICS: Final = tuple(value for value in list(globals().values()) if isinstance(value, Topic))
REGISTRY: Final = TopicRegistry.of(ALL_TOPICS)
CODEC: Final = Codec(ALL_TOPICS)
