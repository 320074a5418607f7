"""The grammar: SQL text becomes a tree of allowed nodes, or is refused with its place."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar, NoReturn

from sqlglot import exp
from sqlglot.dialects.duckdb import DuckDB
from sqlglot.errors import SqlglotError
from sqlglot.tokenizer_core import Token, TokenType

from pydatastream.core.errors import ConfigError, ExpressionError

MAX_TEXT = 10_000
"""The longest expression, in characters."""
MAX_NESTING = 50
"""How deep brackets may nest."""
MAX_DEPTH = 100
"""How deep the tree may be; a chain of ANDs or of ORs counts once."""

_ALLOWED = (
    *(exp.Column, exp.Dot, exp.Identifier, exp.Literal, exp.Boolean, exp.Null, exp.Paren, exp.Star),
    *(exp.Add, exp.Sub, exp.Mul, exp.Div, exp.IntDiv, exp.Mod, exp.Pow, exp.Neg, exp.DPipe),
    *(exp.EQ, exp.NEQ, exp.LT, exp.LTE, exp.GT, exp.GTE, exp.NullSafeEQ, exp.NullSafeNEQ),
    *(exp.And, exp.Or, exp.Not, exp.Is, exp.In, exp.Between, exp.Like, exp.ILike, exp.Escape),
    *(exp.RegexpLike, exp.Case, exp.If, exp.Interval, exp.Var, exp.Extract, exp.Bracket),
    *(exp.Cast, exp.TryCast, exp.DataType, exp.DataTypeParam, exp.Anonymous),
    *(exp.Distinct, exp.Filter, exp.Where, exp.WithinGroup, exp.Order, exp.Ordered),
)
"""All that a tree may hold. exp.Anonymous is a call by name; only names we know compile."""

_PARTS = frozenset(
    (
        *("this", "expression", "expressions", "low", "high", "ifs", "default", "true", "false"),
        *("to", "unit", "table", "db", "catalog", "kind", "values", "nested", "quoted"),
        *("is_string", "negate", "desc", "nulls_first", "safe", "typed"),
    )
)
"""The parts of a node that the compiler knows: another one would be left out in silence."""

_WORDS = {
    "Alias": "an alias",
    "Alter": "a command",
    "Command": "a command",
    "Lambda": "a lambda",
    "Parameter": "a parameter",
    "Placeholder": "a placeholder",
    "Select": "a subquery",
    "Subquery": "a subquery",
    "Table": "a table",
    "Tuple": "a tuple",
    "Window": "a window function (OVER)",
}


OUR_INTS = {"int8", "int16", "int32", "int64"}
"""Types that mean bits here, and bytes in some dialects: they stay as they are written."""


class _Grammar(DuckDB):
    """DuckDB's grammar, but `f(x)` stays a function by name and `a[1]` keeps its number.

    There are no statements: a column may be called `load`, `show` or `update`.
    """

    INDEX_OFFSET = 0

    class Tokenizer(DuckDB.Tokenizer):
        KEYWORDS: ClassVar = {
            word: token
            for word, token in DuckDB.Tokenizer.KEYWORDS.items()
            if word.lower() not in OUR_INTS and token is not TokenType.COMMAND
        }
        COMMANDS: ClassVar[set[TokenType]] = set()

    class Parser(DuckDB.Parser):  # type: ignore[misc, valid-type]
        STATEMENT_PARSERS: ClassVar[dict[Any, Any]] = {}
        FUNCTIONS: ClassVar[dict[str, Any]] = {}
        FUNCTION_PARSERS: ClassVar = {
            name: DuckDB.Parser.FUNCTION_PARSERS[name] for name in ("CAST", "TRY_CAST", "EXTRACT")
        }
        NO_PAREN_FUNCTIONS: ClassVar[dict[Any, Any]] = {}


_DIALECT = _Grammar()


class Portable(DuckDB):
    """The same words with functions understood, for writing them in another dialect."""

    Tokenizer = _Grammar.Tokenizer


_FORMS = "a IN (1, 2), a BETWEEN 1 AND 2, list_contains(list, value)"
_OPENS = {TokenType.L_PAREN, TokenType.L_BRACKET, TokenType.L_BRACE, TokenType.CASE}
_CLOSES = {TokenType.R_PAREN, TokenType.R_BRACKET, TokenType.R_BRACE, TokenType.END}


@dataclass(frozen=True)
class Query:
    """One expression: its text, and the tree of it."""

    text: str
    tree: exp.Expr

    def refuse(
        self,
        node: exp.Expr,
        what: str,
        hint: str | None = None,
        kind: type[ConfigError] = ExpressionError,
    ) -> NoReturn:
        """Raise an error that points at the node's place in the text."""
        raise kind(f"{what}\n{_pointed(self.text, _start(node))}", hint=hint) from None


def _start(node: exp.Expr) -> int | None:
    starts = [one.meta["start"] for one in node.walk() if "start" in one.meta]
    return min(starts, default=None)


def _pointed(text: str, start: int | None) -> str:
    """The text with a caret under the place; of a long text only the part around it."""
    if start is None:
        return f"  in: {text[:200]}"
    first = text.rfind("\n", 0, start) + 1
    end = text.find("\n", start)
    cut = max(first, start - 60)
    line = text[cut : end if end >= 0 else len(text)][:120]
    return f"  in: {line}\n      {' ' * (start - cut)}^"


def _fail(text: str, what: str, start: int | None = None, hint: str | None = None) -> NoReturn:
    raise ExpressionError(f"{what}\n{_pointed(text, start)}", hint=hint)


@lru_cache(maxsize=1024)
def parse(text: str) -> Query:
    """The expression as a tree; raises `ExpressionError` for all that is not one expression."""
    if len(text) > MAX_TEXT:
        _fail(text, f"the expression has {len(text)} characters, at most {MAX_TEXT} are allowed")
    if not text.strip():
        raise ExpressionError("the expression is empty", hint="a column, or e.g. a + b > 10")
    query = Query(text, _tree(text, _tokens(text)))
    _check_depth(query)
    _check_nodes(query)
    return query


def _tokens(text: str) -> list[Token]:
    try:
        tokens = _DIALECT.tokenize(text)
    except SqlglotError as error:
        _fail(text, f"the text cannot be read: {str(error).splitlines()[0]}", hint=_QUOTES)
    depth = 0
    for token in tokens:
        depth += (token.token_type in _OPENS) - (token.token_type in _CLOSES)
        if depth > MAX_NESTING:
            _fail(text, f"brackets nest deeper than {MAX_NESTING}", token.start)
        if token.token_type is TokenType.SEMICOLON:
            _fail(text, "one expression is allowed, and no ';'", token.start)
    return tokens


_QUOTES = "strings in single quotes ('a'), column names bare or in double quotes"


def _tree(text: str, tokens: list[Token]) -> exp.Expr:
    try:
        trees = _DIALECT.parser().parse(tokens, text)
    except RecursionError:
        _fail(text, "the expression nests too deep")
    except SqlglotError as error:
        _fail(text, *_reason(text, error))
    if len(trees) != 1 or trees[0] is None:
        _fail(text, "this is not an expression", hint=_QUOTES)
    return trees[0]


def _reason(text: str, error: SqlglotError) -> tuple[str, int | None, str | None]:
    details = (getattr(error, "errors", None) or [{}])[0]
    found, line, end = (details.get(key) for key in ("highlight", "line", "col"))
    if not found or line is None or end is None:
        return "this is not an expression", None, _QUOTES
    start = sum(len(one) + 1 for one in text.split("\n")[: line - 1]) + end - len(found)
    return f"unexpected {found!r}, or something is missing after it", max(start, 0), None


def _check_depth(query: Query) -> None:
    todo: list[tuple[exp.Expr, int]] = [(query.tree, 1)]
    while todo:
        node, depth = todo.pop()
        if depth > MAX_DEPTH:
            _fail(query.text, f"the expression nests deeper than {MAX_DEPTH}")
        for child in node.iter_expressions():
            chain = isinstance(node, exp.Connector) and type(child) is type(node)
            todo.append((child, depth + (not chain)))


def _check_nodes(query: Query) -> None:
    for node in query.tree.walk():
        if type(node) not in _ALLOWED:
            name = type(node).__name__
            query.refuse(node, f"{_WORDS.get(name, name)} is not allowed in an expression")
    for node in query.tree.walk():
        for part in node.args.keys() - _PARTS:
            if node.args[part]:
                query.refuse(node, f"{part!r} is not allowed in {type(node).__name__}", _FORMS)
