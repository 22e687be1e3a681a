"""What is wrong with an environment: unknown variables and impossible values, one sentence each.

Works on any pydantic-settings class; :mod:`libs.engine.settings` registers its classes here.
"""

from __future__ import annotations

import os
from difflib import get_close_matches
from typing import Any

from pydantic import AliasChoices, ValidationError
from pydantic_settings import BaseSettings

#: What stands in for a secret wherever settings are shown.
MASK = "**********"

#: Every settings class this process has imported.
CLASSES: list[type[BaseSettings]] = []

_MISSING = "must be set; it has no default"


def variable_name(cls: type[BaseSettings], field: str) -> str:
    """The environment variable that ``field`` of ``cls`` is read from."""
    alias = cls.model_fields[field].validation_alias
    if isinstance(alias, AliasChoices):
        alias = next((choice for choice in alias.choices if isinstance(choice, str)), None)
    return alias if isinstance(alias, str) else f"{cls.model_config.get('env_prefix', '')}{field}".upper()


def mask_url(url: str) -> str:
    """``url`` without user, password and query; ``redis://***@host:6379/0``."""
    # Split by hand: a password may hold '/', '#' or '?', which a URL parser takes for the end of the host.
    scheme, _, rest = url.partition("://")
    place = rest.rpartition("@")[2].partition("?")[0]
    return f"{scheme}://{'***@' if '@' in rest else ''}{place}"


def unknown_variables(cls: type[BaseSettings]) -> list[str]:
    """One sentence for each variable that is meant for ``cls`` and that no class of this process declares."""
    prefix = cls.model_config.get("env_prefix", "")
    if not prefix:
        return []
    own = {variable_name(cls, field) for field in cls.model_fields}
    # REDIS_URL has no prefix: what only begins like it (REDIS_URLS) is a slip too.
    prefixes = tuple({prefix, *(name for name in own if not name.startswith(prefix))})
    known = own | set(getattr(cls, "read_elsewhere", ()))
    known.update(variable_name(other, field) for other in CLASSES for field in other.model_fields)
    sentences = []
    for name in sorted(os.environ):
        if name.upper().startswith(prefixes) and name.upper() not in known:
            near = get_close_matches(name.upper(), sorted(known), n=1, cutoff=0.5)
            near = [known_name for known_name in sorted(known) if name.upper() == prefix + known_name] or near
            hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(sorted(own))}"
            sentences.append(f"{name} is no setting; {hint}")
    return sentences


def mistakes_elsewhere(failed: type[BaseSettings]) -> list[str]:
    """Mistakes in variables of the other classes; that one is missing there is theirs to say."""
    sentences: list[str] = []
    for cls in CLASSES:
        if cls is failed:
            continue
        sentences.extend(unknown_variables(cls))
        try:
            BaseSettings.__init__(cls.__new__(cls))
        except ValidationError as error:
            sentences.extend(text for text in sentences_of(cls, error) if not text.endswith(_MISSING))
    return sentences


def sentences_of(cls: type[BaseSettings], error: ValidationError) -> list[str]:
    """One sentence for each mistake: variable, what it must be, what it was (masked when secret), what to do."""
    fields = {variable_name(cls, field): field for field in cls.model_fields}
    sentences = []
    for detail in error.errors(include_url=False):
        where = str(detail["loc"][0]) if detail["loc"] else ""
        field = where if where in cls.model_fields else fields.get(where.upper(), "")
        name = variable_name(cls, field) if field else (where or cls.__name__)
        text = detail["msg"].removeprefix("Value error, ").replace("Input should be", "must be", 1)
        if detail["type"] == "missing":
            text = _MISSING
        elif detail["type"] == "extra_forbidden":
            text = f"is no field of {cls.__name__}; use one of {', '.join(sorted(cls.model_fields))}"
        elif detail["type"] != "value_error":
            text += f", was {_shown(cls, field, detail['input'])}; {_remedy(cls, field)}"
        sentences.append(f"{name} {text}")
    return sentences


def _shown(cls: type[BaseSettings], field: str, value: Any) -> str:
    if field and "Secret" in str(cls.model_fields[field].annotation):
        return MASK
    return repr(mask_url(value) if isinstance(value, str) and "://" in value else value)[:200]


def _remedy(cls: type[BaseSettings], field: str) -> str:
    default = cls.model_fields[field].default if field and not cls.model_fields[field].is_required() else None
    return "correct it or remove it" + ("" if default is None else f" for the default {default}")
