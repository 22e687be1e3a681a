"""Replays and traces as lines of text."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from libs.engine.plain import iso
from services.fleet.record.comparison import side_by_side

if TYPE_CHECKING:
    from libs.trace.walk import TraceNode
    from services.fleet.record.replay import ReplayRun


def replay_lines(run: ReplayRun) -> list[str]:
    """What a replay came to, beginning with one sentence."""
    start = f"snapshot {run.started_after}" if run.started_after else "the beginning"
    counts = f"{run.commits:,} commits, {run.events:,} events read, {run.outputs:,} published"
    lines = [f"note: {remark}" for remark in run.remarks]
    divergence = run.divergence
    if divergence is None:
        until = f"stopped {run.stopped}; " if run.stopped else ""
        if not run.commits and not run.stopped:
            return [*lines, f"{run.engine}: nothing to compare: no commit is journaled behind {start}"]
        lines.append(f"{run.engine}: {until}identical from {start} on: {counts}")
    else:
        where = "" if divergence.index < 0 else f", output {divergence.index + 1} of {divergence.recorded_outputs}"
        lines.append(
            f"{run.engine}: differs at commit {divergence.commit}{where} ({divergence.found_outputs} today); identical "
            f"before it, from {start} on: {counts}"
        )
        if divergence.cause:
            lines.append(f"  published on {divergence.cause}")
        lines += side_by_side(divergence)
        if divergence.remark:
            lines.append(f"  {divergence.remark}")
    today = str(run.core.writer)
    lines += [f"  recorded by {writer}, replayed by {today}" for writer in run.writers if writer != today]
    return lines


def trace_tree(node: TraceNode) -> list[str]:
    """A walk as an indented tree: what each event is, when, and every value it holds."""
    return _lines(node, "", "", "")


def _lines(node: TraceNode, lead: str, branch: str, below: str) -> list[str]:
    head = f"{lead}{branch}"
    relation = {"cause": "caused by ", "reference": "computed from "}.get(node.relation, "")
    if node.missing:
        return [f"{head}{relation}{node.event_id}: {node.missing}"]
    if node.is_repeated:
        return [f"{head}{relation}{node.role} {node.event_id} (above)"]
    lines = [f"{head}{relation}{node.role} {node.event_id}   {node.topic}   {iso(node.ts_event)}"]
    inner = f"{lead}{below}"
    rail = "│  " if node.links else "   "
    lines += [f"{inner}{rail}{name}: {_value(value)}" for name, value in node.values.items() if name != "ts_event"]
    if node.cause and not any(link.event_id == node.cause for link in node.links):
        lines.append(f"{inner}{rail}(came in with {node.cause})")
    for place, link in enumerate(node.links):
        last = place == len(node.links) - 1
        lines += _lines(link, inner, "└─ " if last else "├─ ", "   " if last else "│  ")
    return lines


def _value(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
