"""Which expressions of a source file are sets, as far as annotations and assignments tell."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final, Literal

#: ``sets``: a mapping or sequence whose values are sets.
Kind = Literal["set", "sets", "other"]

_SET_NAMES: Final = frozenset({"set", "frozenset", "Set", "FrozenSet", "AbstractSet", "MutableSet", "WeakSet"})
_VIEW_METHODS: Final = frozenset({"keys", "items"})
_SET_RESULTS: Final = frozenset({"copy", "difference", "intersection", "symmetric_difference", "union"})
_VALUE_METHODS: Final = frozenset({"get", "pop", "setdefault"})
_SET_OPERATORS: Final = (ast.BitOr, ast.BitAnd, ast.Sub, ast.BitXor)
_BINDING: Final = (ast.AnnAssign, ast.Assign, ast.NamedExpr, ast.arg, ast.For, ast.comprehension)
_OTHER: Final[Kind] = "other"


def kind_of_annotation(node: ast.expr | None) -> Kind:
    """What an annotation promises; quotes, ``Final``, ``ClassVar`` and ``| None`` are looked through."""
    match node:
        case ast.Constant(value=str(text)):
            return kind_of_annotation(ast.parse(text, mode="eval").body)
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return "set" if name in _SET_NAMES else _OTHER
        case ast.BinOp(left=left, op=ast.BitOr(), right=right):
            found = {kind_of_annotation(left), kind_of_annotation(right)}
            return next((kind for kind in ("set", "sets") if kind in found), _OTHER)
        case ast.Subscript(value=outer, slice=inner):
            name = ast.unparse(outer).rpartition(".")[2]
            if name == "Literal":
                return _OTHER
            if (kind := kind_of_annotation(outer)) != _OTHER:
                return kind
            last = inner.elts[-1] if isinstance(inner, ast.Tuple) and inner.elts else inner
            kind = kind_of_annotation(last)
            if name in {"Final", "ClassVar", "Optional", "Annotated"}:
                return kind_of_annotation(inner.elts[0]) if isinstance(inner, ast.Tuple) else kind
            return "sets" if kind == "set" and name.lower() not in {"callable", "type"} else _OTHER
    return _OTHER


@dataclass(slots=True)
class Declared:
    """What attributes hold and functions return, by name, over many files; a name with two meanings has none."""

    attributes: dict[str, Kind] = field(default_factory=dict)
    returns: dict[str, Kind] = field(default_factory=dict)

    @classmethod
    def of(cls, *files: Iterable[ast.AST]) -> Declared:
        """Everything that these files declare, each given by its nodes."""
        found = cls()
        for nodes in files:
            for node in nodes:
                if isinstance(node, ast.ClassDef):
                    for name, kind in _attributes_of(node):
                        _note(found.attributes, name, kind)
                elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                    _note(found.returns, node.name, kind_of_annotation(node.returns))
                    if any(ast.unparse(one).endswith("property") for one in node.decorator_list):
                        _note(found.attributes, node.name, kind_of_annotation(node.returns))
        return found

    def __or__(self, other: Declared) -> Declared:
        """Both; where they differ, the second (the file's own) is right."""
        return Declared(self.attributes | other.attributes, self.returns | other.returns)


def _note(table: dict[str, Kind], name: str, kind: Kind) -> None:
    # A name that is a set anywhere is taken for one: a false alarm is renamed, a miss is a bug in production.
    if table.get(name, _OTHER) == _OTHER:
        table[name] = kind


def _attributes_of(node: ast.ClassDef) -> Iterator[tuple[str, Kind]]:
    for child in ast.walk(node):
        if isinstance(child, ast.AnnAssign):
            target, kind = child.target, kind_of_annotation(child.annotation)
        elif isinstance(child, ast.Assign) and len(child.targets) == 1:
            target, kind = child.targets[0], _WITHOUT_NAMES.kind(child.value)
        else:
            continue
        if isinstance(target, ast.Attribute) and isinstance(target.value, ast.Name) and target.value.id == "self":
            yield target.attr, kind
        elif isinstance(target, ast.Name) and child in node.body:
            yield target.id, kind


class Kinds:
    """Tells the kind of an expression of one file.

    Names are looked up within their function, then at module level; where a name is given several values, one set is
    enough.
    """

    def __init__(self, tree: ast.AST, declared: Declared) -> None:
        self._declared = declared
        self._scope_of: dict[ast.AST, ast.AST] = {}
        self._names: dict[ast.AST, dict[str, Kind]] = {}
        self._place(tree, tree)
        self._functions = {node.name for node in self._scope_of if isinstance(node, ast.FunctionDef)}
        binding = [node for node in self._scope_of if isinstance(node, _BINDING)]
        known = -1
        while known < (known := sum(kind != _OTHER for names in self._names.values() for kind in names.values())):
            for node in binding:  # again, for: a = b; b = {...}
                self._learn(node)

    def is_set(self, node: ast.expr) -> bool:
        """Whether the members of an expression come in the order of a set."""
        return self.kind(node) == "set"

    def is_plain_function(self, name: str) -> bool:
        """Whether the file defines a function of this name."""
        return name in self._functions

    def kind(self, node: ast.expr) -> Kind:
        """What an expression is."""
        match node:
            case ast.Set() | ast.SetComp():
                return "set"
            case ast.Name(id=name):
                return self._named(node, name)
            case ast.Attribute(attr=name):
                return self._declared.attributes.get(name, _OTHER)
            case ast.BinOp(left=left, op=op, right=right) if isinstance(op, _SET_OPERATORS):
                return "set" if self._makes_sets(left) or self._makes_sets(right) else _OTHER
            case ast.IfExp(body=body, orelse=orelse):
                return self._first(body, orelse)
            case ast.BoolOp(values=values):
                return self._first(*values)
            case ast.NamedExpr(value=value) | ast.Await(value=value):
                return self.kind(value)
            case ast.Subscript(value=value):
                return "set" if self.kind(value) == "sets" else _OTHER
            case ast.Dict(values=[first, *_]) | ast.DictComp(value=first):
                return "sets" if self.kind(first) == "set" else _OTHER
            case ast.Call(func=function):
                return self._called(node, function)
        return _OTHER

    def _first(self, *nodes: ast.expr) -> Kind:
        found = [self.kind(node) for node in nodes]
        return next((kind for kind in ("set", "sets") if kind in found), _OTHER)

    def _makes_sets(self, node: ast.expr) -> bool:
        """Sets, and the views of a dict: ``a.keys() - b.keys()`` is a set."""
        match node:
            case ast.Call(func=ast.Attribute(attr=name), args=[]) if name in _VIEW_METHODS:
                return True
        return self.is_set(node)

    def _called(self, call: ast.Call, function: ast.expr) -> Kind:
        name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
        if isinstance(function, ast.Name):
            if name in {"set", "frozenset", "WeakSet"}:
                return "set"
            if name == "defaultdict":
                first = ast.unparse(call.args[0]) if call.args else ""
                return "sets" if first in {"set", "frozenset"} else _OTHER
            if name in {"cast"} and call.args:
                return kind_of_annotation(call.args[0])
        if isinstance(function, ast.Attribute):
            owner = self.kind(function.value)
            if owner == "set" and name in _SET_RESULTS:
                return "set"
            if owner == "sets" and name in _VALUE_METHODS:
                return "set"
            if owner == "sets" and name == "copy":
                return "sets"
        return self._declared.returns.get(name, _OTHER)

    # -- names ------------------------------------------------------------------------------------

    def _place(self, node: ast.AST, scope: ast.AST) -> None:
        self._scope_of[node] = scope
        inner = node if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) else scope
        for child in ast.iter_child_nodes(node):
            self._place(child, inner)

    def _named(self, node: ast.AST, name: str) -> Kind:
        scope = self._scope_of.get(node)
        while scope is not None:
            if (kind := self._names.get(scope, {}).get(name)) is not None:
                return kind
            scope = None if self._scope_of.get(scope) is scope else self._scope_of.get(scope)
        return _OTHER

    def _learn(self, node: ast.AST) -> None:
        match node:
            case ast.AnnAssign(target=ast.Name(id=name), annotation=annotation):
                self._set(node, name, kind_of_annotation(annotation))
            case ast.Assign(targets=targets, value=value):
                for target in targets:
                    pairs = [(target, value)]
                    if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
                        pairs = list(zip(target.elts, value.elts, strict=False))
                    for name, given in pairs:
                        if isinstance(name, ast.Name):
                            self._set(node, name.id, self.kind(given))
            case ast.NamedExpr(target=ast.Name(id=name), value=value):
                self._set(node, name, self.kind(value))
            case ast.arg(arg=name, annotation=annotation):
                self._set(node, name, kind_of_annotation(annotation))
            case ast.For(target=target, iter=walked) | ast.comprehension(target=target, iter=walked):
                self._learn_item(node, target, walked)

    def _learn_item(self, node: ast.AST, target: ast.expr, walked: ast.expr) -> None:
        match walked:
            case ast.Call(func=ast.Attribute(value=owner, attr="values")) if self.kind(owner) == "sets":
                found = target
            case ast.Call(func=ast.Attribute(value=owner, attr="items")) if self.kind(owner) == "sets":
                found = target.elts[-1] if isinstance(target, ast.Tuple) else target
            case _:
                return
        if isinstance(found, ast.Name):
            self._set(node, found.id, "set")

    def _set(self, node: ast.AST, name: str, kind: Kind) -> None:
        names = self._names.setdefault(self._scope_of[node], {})
        if names.get(name, _OTHER) == _OTHER:
            names[name] = kind


#: For values that name nothing: ``set()``, ``{1, 2}``.
_WITHOUT_NAMES: Final = Kinds(ast.Module([], []), Declared())
