"""The catalogue of topics as a page: what travels on the bus, who publishes it, who reads it.

The page is built from the registry and the event types themselves, so it cannot say anything else than the code. Who
reads a topic is known only where services may be imported; the caller passes it in.
"""

from __future__ import annotations

import inspect
import re
import types
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any, Literal, Union, get_args, get_origin

import msgspec

from libs.messagebus.topic import Event, Topic, TopicRegistry

_NAMES = {str: "text", int: "integer", float: "float", bool: "boolean", bytes: "bytes", Decimal: "decimal"}
_ATTRIBUTE = re.compile(r"([a-z_][a-z0-9_]*(?:, [a-z_][a-z0-9_]*)*): (.*)")


class Parts:
    """Structs inside events: an event of another topic has its section there, anything else one at the end.

    Attributes:
        found: Those for the end of the page, by name.
    """

    def __init__(self, registry: TopicRegistry) -> None:
        self._topics = registry.by_event
        self.found: dict[str, type[msgspec.Struct]] = {}

    def link(self, kind: type[msgspec.Struct]) -> str:
        """A link to where ``kind`` is described."""
        topic = self._topics.get(kind) if issubclass(kind, Event) else None
        if topic is None:
            self.found.setdefault(kind.__name__, kind)
        return f"[{kind.__name__}](#{_anchor(topic.name if topic else kind.__name__)})"


def topics_page(registry: TopicRegistry, readers: Mapping[str, Sequence[str]], introduction: str) -> str:
    """The whole page as Markdown.

    Args:
        registry: All topics.
        readers: Names of the sequenced readers, by topic name; a topic without an entry is only tailed.
        introduction: Markdown put under the title.
    """
    topics = list(registry.by_name.values())
    lines = ["# Topics", "", introduction.strip(), "", *_table(topics, readers)]
    parts = Parts(registry)
    for family in dict.fromkeys(topic.family for topic in topics):
        lines += [f"## {family}", ""]
        for topic in topics:
            if topic.family == family:
                lines += _section(topic, readers.get(topic.name, ()), parts)
    if parts.found:
        lines += ["## Parts of events", ""]
        done: list[str] = []
        while names := sorted(name for name in parts.found if name not in done):  # a part may hold further ones
            lines += [f"### {names[0]}", "", *_described(parts.found[names[0]], parts)]
            done.append(names[0])
    return "\n".join(lines).rstrip() + "\n"


def _table(topics: Sequence[Topic[Any]], readers: Mapping[str, Sequence[str]]) -> Iterator[str]:
    yield f"{len(topics)} topics."
    yield ""
    yield "| topic | event | priority | key | producer | readers |"
    yield "|---|---|---|---|---|---|"
    for topic in topics:
        producer = "any" if topic.producer == "*" else topic.producer
        cells = (
            f"[{topic.name}](#{_anchor(topic.name)})",
            topic.event.__name__,
            topic.priority.label,
            topic.key or "-",
            producer,
            ", ".join(readers.get(topic.name, ())) or "tail only",
        )
        yield f"| {' | '.join(cells)} |"
    yield ""


def _section(topic: Topic[Any], readers: Sequence[str], parts: Parts) -> Iterator[str]:
    facts = [
        f"stream `{topic.stream}`",
        f"event `{topic.event.__name__}`, tag `{topic.event.__struct_config__.tag}`",
        f"published by {'any process' if topic.producer == '*' else topic.producer}",
        f"read by {', '.join(readers)}" if readers else "tailed only",
        f"at least {topic.retention:,} entries kept",
    ]
    if topic.conflate:
        facts.append(f"a slow subscriber may get only the newest{' per ' + topic.key if topic.key else ''}")
    yield f"### {topic.name}"
    yield ""
    yield f"{_sentence(topic.description)} {_sentence('; '.join(facts))}"
    yield ""
    yield from _described(topic.event, parts)


def _described(kind: type[msgspec.Struct], parts: Parts) -> Iterator[str]:
    summary, meanings = _docstring(kind)
    yield summary
    yield ""
    fields = [
        field for field in msgspec.structs.fields(kind) if not (issubclass(kind, Event) and field.name == "ts_event")
    ]
    if not fields:
        return
    yield "| field | type | default | meaning |"
    yield "|---|---|---|---|"
    for field in fields:
        cells = (f"`{field.name}`", type_name(field.type, parts), _default(field), meanings.get(field.name, ""))
        yield "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
    yield ""


def type_name(kind: Any, parts: Parts) -> str:
    """A type in words; structs found inside are linked.

    Raises:
        TypeError: If the type has no words yet; give it some here.
    """
    origin, arguments = get_origin(kind), get_args(kind)
    if kind in _NAMES:
        return _NAMES[kind]
    if origin is Literal:
        return " or ".join(f"`{value}`" for value in arguments)
    if origin in (Union, types.UnionType):
        return " or ".join("null" if one is type(None) else type_name(one, parts) for one in arguments)
    if origin is list:
        return f"list of {type_name(arguments[0], parts)}"
    if origin is dict:
        return f"map of {type_name(arguments[0], parts)} to {type_name(arguments[1], parts)}"
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return parts.link(kind)
    raise TypeError(f"type of an event's field must have words in the catalogue, was {kind!r}; add them to type_name")


def _default(field: Any) -> str:
    if field.default_factory is not msgspec.NODEFAULT:
        return "empty"
    if field.default is msgspec.NODEFAULT:
        return ""
    if field.default is None:
        return "null"
    if isinstance(field.default, bool):
        return str(field.default).lower()
    return f"`{field.default}`" if field.default != "" else "empty"


def _docstring(kind: type) -> tuple[str, dict[str, str]]:
    """Summary of a docstring, and the meanings under ``Attributes:`` by field."""
    text, _, rest = inspect.cleandoc(kind.__doc__ or "").partition("Attributes:\n")
    attributes, _, after = rest.partition("\n\n")
    meanings: dict[str, str] = {}
    names: list[str] = []
    for line in attributes.splitlines():
        found = _ATTRIBUTE.fullmatch(line.strip()) if len(line) - len(line.lstrip()) == 4 else None
        if found is not None:
            names = found.group(1).split(", ")
            meanings.update(dict.fromkeys(names, found.group(2)))
        else:
            meanings.update({name: f"{meanings[name]} {line.strip()}" for name in names})
    summary = "\n\n".join(part.strip() for part in (text, inspect.cleandoc(after)) if part.strip())
    return _markdown(summary), {name: _markdown(meaning) for name, meaning in meanings.items()}


def _markdown(text: str) -> str:
    return text.replace("``", "`")


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."


def _anchor(heading: str) -> str:
    # How GitHub derives the anchor of a heading: lower case, punctuation but hyphens and underscores dropped.
    return re.sub(r"[^a-z0-9_\- ]", "", heading.lower()).replace(" ", "-")
