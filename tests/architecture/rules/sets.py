"""The rule about sets: their order changes with PYTHONHASHSEED, so nothing may come of it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Final

from tests.architecture.rules.kinds import Declared, Kinds
from tests.architecture.rules.names import Violation, nodes_of

#: Built-ins that give the same for every order.
ORDER_FREE: Final = frozenset({"all", "any", "bool", "frozenset", "isinstance", "len", "set", "fsum"})
#: Likewise, unless a ``key`` makes different elements equal: then the first one met wins.
ORDER_FREE_WITHOUT_KEY: Final = frozenset({"max", "min", "sorted"})
#: Methods of a set that take sets, and of others that take members in any order.
SET_METHODS: Final = frozenset(
    {
        "add", "clear", "copy", "difference", "difference_update", "discard", "intersection", "intersection_update",
        "isdisjoint", "issubset", "issuperset", "remove", "symmetric_difference", "symmetric_difference_update",
        "union", "update",
    }
)  # fmt: skip
_ADVICE: Final = "in the order of a set, which changes with PYTHONHASHSEED; sort it"


def ordered_by_a_set(source: str, file: str, declared: Declared | None = None) -> list[Violation]:
    """Every place where ``source`` takes the members of a set in the order in which they come.

    Args:
        declared: What the classes and functions of other files are known to hold and return.
    """
    nodes = nodes_of(source)
    parents = {child: node for node in nodes for child in ast.iter_child_nodes(node)}
    kinds = Kinds(nodes[0], (declared or Declared()) | Declared.of(nodes))
    found: dict[tuple[int, str], Violation] = {}
    for node in nodes:
        for taken, how in _taken_in_order(node, parents, kinds):
            if kinds.is_set(taken):
                text = f"{how} {ast.unparse(taken)} {_ADVICE}"
                found[taken.lineno, text] = Violation("set order", file, taken.lineno, text)
    return [found[key] for key in sorted(found)]


def _taken_in_order(node: ast.AST, parents: dict[ast.AST, ast.AST], kinds: Kinds) -> Iterator[tuple[ast.expr, str]]:
    """Expressions whose members ``node`` takes one after the other, and how."""
    if isinstance(node, ast.For | ast.AsyncFor):
        yield node.iter, "iterates"
    elif isinstance(node, ast.comprehension):
        whole = parents[node]
        if not isinstance(whole, ast.SetComp) and not _is_order_free(whole, parents.get(whole), kinds):
            yield node.iter, "iterates"
    elif isinstance(node, ast.YieldFrom | ast.Starred):
        yield node.value, "unpacks"
    elif isinstance(node, ast.Assign):
        if isinstance(node.targets[0], ast.Tuple | ast.List):
            yield node.value, "unpacks"
    elif isinstance(node, ast.FormattedValue):
        yield node.value, "writes"
    elif isinstance(node, ast.Call):
        yield from _taken_by_call(node, kinds)


def _taken_by_call(call: ast.Call, kinds: Kinds) -> Iterator[tuple[ast.expr, str]]:
    function = call.func
    name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
    if isinstance(function, ast.Attribute):
        if name == "pop" and not call.args:
            yield function.value, "pops from"
        # Whoever calls a method of a set with sets asks for no order; of a dict or Counter it fills, the order stays.
        if name in SET_METHODS and (name != "update" or kinds.is_set(function.value)):
            return
    if _is_free(name, call):
        return
    if isinstance(function, ast.Name) and kinds.is_plain_function(name):
        return  # one of ours: what it does with its parameter is judged where it is written
    if isinstance(function, ast.Attribute) and name not in _ORDERED_METHODS:
        return
    if isinstance(function, ast.Name) and name not in _ORDERED_CALLS:
        return
    for given in call.args:
        yield given, f"{name} takes"


_ORDERED_CALLS: Final = frozenset(
    {
        "list", "tuple", "sum", "enumerate", "iter", "next", "zip", "map", "filter", "reversed", "deque", "dict", "str",
        "repr", "print", "Counter", "OrderedDict", "chain", "islice", "accumulate", "reduce", "groupby", "format",
        "array", "asarray", "fromiter", "encode", "max", "min", "sorted",
    }
)  # fmt: skip
_ORDERED_METHODS: Final = _ORDERED_CALLS | {
    "join", "extend", "fromkeys", "update", "append", "extendleft", "from_iterable", "writelines", "concatenate",
    "stack", "mean", "dumps", "appendleft",
}  # fmt: skip


def _is_free(name: str, call: ast.Call) -> bool:
    if name in ORDER_FREE:
        return True
    return name in ORDER_FREE_WITHOUT_KEY and not any(keyword.arg == "key" for keyword in call.keywords)


def _is_order_free(whole: ast.AST, consumer: ast.AST | None, kinds: Kinds) -> bool:
    """Whether a comprehension or generator is handed to something that gives the same for every order."""
    if isinstance(whole, ast.DictComp) or not isinstance(consumer, ast.Call) or whole not in consumer.args:
        return False
    function = consumer.func
    if isinstance(function, ast.Attribute):
        return kinds.is_set(function.value) and function.attr in SET_METHODS
    return isinstance(function, ast.Name) and _is_free(function.id, consumer)
