"""Rules about what an engine may not take from outside: time, chance, other threads, I/O, addresses."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Final

from tests.architecture.rules.names import Reference, Violation, imported, nodes_of, references

#: Everything under these names is forbidden by the rule, unless ``ALLOWED`` says otherwise.
FORBIDDEN: Final[dict[str, tuple[str, ...]]] = {
    "clock": (
        "time", "datetime.datetime.now", "datetime.datetime.utcnow", "datetime.datetime.today", "datetime.date.today",
        "libs.clock.live", "libs.clock.LiveClock", "sched", "timeit",
    ),
    "chance": (
        "random", "secrets", "numpy.random", "uuid.uuid1", "uuid.uuid4", "uuid.getnode", "os.urandom", "os.getrandom",
    ),
    "threads": (
        "asyncio", "threading", "_thread", "multiprocessing", "concurrent", "subprocess", "signal", "queue", "uvloop",
        "contextvars",
    ),
    "world": (
        "open", "input", "print", "breakpoint", "io.open", "os", "socket", "ssl", "select", "requests", "httpx",
        "aiohttp", "urllib.request", "http", "redis", "tempfile", "shutil", "glob", "sqlite3", "fcntl", "mmap",
        "logging", "structlog", "getpass", "platform", "importlib", "__import__", "eval", "exec", "linecache",
        "sys.stdin", "sys.stdout", "sys.stderr", "sys.argv", "sys.path", "numpy.load", "numpy.save",
        "numpy.loadtxt", "numpy.savetxt", "numpy.genfromtxt", "numpy.fromfile", "numpy.memmap", "pathlib.Path.cwd",
        "pathlib.Path.home", "traceback.extract_tb", "traceback.extract_stack", "traceback.format_exc",
        "traceback.print_exc", "traceback.format_exception", "warnings.warn",
    ),
    "identity": ("id", "hash", "object.__hash__", "object.__repr__", "gc", "weakref", "sys.getrefcount"),
}  # fmt: skip
#: Seeded generators: harmless when called with an argument.
SEEDED: Final = frozenset(
    {
        "random.Random", "numpy.random.default_rng", "numpy.random.Generator", "numpy.random.SeedSequence",
        "numpy.random.PCG64", "numpy.random.Philox",
    }
)  # fmt: skip
#: Parts of forbidden modules that only name a type or compute.
ALLOWED: Final = frozenset({"os.PathLike", "os.fspath", "os.path.join", "http.HTTPStatus", "time.struct_time"})
#: Methods that no plain data has: whatever object they are called on, they reach a file.
FILE_METHODS: Final = frozenset(
    {
        "read_text", "read_bytes", "write_text", "write_bytes", "iterdir", "rglob", "unlink", "mkdir", "touch", "rmdir",
        "symlink_to", "is_file", "is_dir", "exists", "stat", "lstat", "expanduser",
    }
)  # fmt: skip
_ADVICE: Final = {
    "clock": "reads the machine's clock; read the injected one",
    "chance": "draws unseeded chance; seed a generator from a setting or the state",
    "threads": "leaves the one thread of the handlers; do it in an adapter",
    "world": "reaches outside the process; do it in an adapter",
    "identity": "depends on where an object lies in memory or on PYTHONHASHSEED; use a key of its own",
}


def taken_from_outside(source: str, file: str) -> list[Violation]:
    """Every place where ``source`` reads a clock, draws chance, starts a thread, does I/O or shows an identity."""
    found = {(violation.line, violation.text): violation for violation in _all(nodes_of(source), file)}
    return [found[key] for key in sorted(found)]


def _all(nodes: Sequence[ast.AST], file: str) -> Iterator[Violation]:
    for name, line in imported(nodes):
        # Importing a module that is all forbidden; what is only partly so is judged where it is used.
        if (rule := _rule_of(name)) is not None and not _has_harmless_parts(name):
            yield Violation(rule, file, line, f"import of {name} {_ADVICE[rule]}")
    for reference in references(nodes):
        if (rule := _rule_of(reference.name)) is not None and not _is_seeded(reference):
            yield Violation(rule, file, reference.line, f"{reference.name} {_ADVICE[rule]}")
    for node in nodes:
        if isinstance(node, ast.AsyncFunctionDef) and not _is_declaration(node):
            yield Violation("threads", file, node.lineno, f"coroutine {node.name} {_ADVICE['threads']}")
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in FILE_METHODS:
            yield Violation("world", file, node.lineno, f"{ast.unparse(node.func)} {_ADVICE['world']}")
        elif isinstance(node, ast.Call) and _names_the_present(node):
            yield Violation("clock", file, node.lineno, f"{ast.unparse(node)} {_ADVICE['clock']}")


@cache
def _rule_of(name: str) -> str | None:
    if name in ALLOWED:
        return None
    for rule, prefixes in FORBIDDEN.items():
        if any(name == prefix or name.startswith(f"{prefix}.") for prefix in prefixes):
            return rule
    return None


def _has_harmless_parts(name: str) -> bool:
    return any(part.startswith(f"{name}.") or part == name for part in ALLOWED | SEEDED)


def _is_seeded(reference: Reference) -> bool:
    if reference.name not in SEEDED:
        return False
    call = reference.call
    if call is None:  # an annotation or isinstance
        return True
    given = [*call.args, *(keyword.value for keyword in call.keywords)]
    return bool(given) and not all(isinstance(value, ast.Constant) and value.value is None for value in given)


def _names_the_present(call: ast.Call) -> bool:
    """``datetime64("now")``, ``Timestamp("today")``: the clock by a string, which C code reads."""
    name = ast.unparse(call.func).rpartition(".")[2]
    texts = {value.value for value in call.args if isinstance(value, ast.Constant)}
    return name in {"datetime64", "Timestamp", "to_datetime"} and not texts.isdisjoint({"now", "today"})


def _is_declaration(node: ast.AsyncFunctionDef) -> bool:
    """Whether it is the method of a protocol: a docstring and three dots."""
    last = node.body[-1]
    return isinstance(last, ast.Expr) and isinstance(last.value, ast.Constant) and last.value.value is Ellipsis
