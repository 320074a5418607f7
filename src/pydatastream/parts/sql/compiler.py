"""The compiler: a tree of SQL and a schema become a Polars expression with its type."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, NoReturn

import polars as pl
from sqlglot import exp

from pydatastream.core.errors import SchemaError, nearest
from pydatastream.parts.sql import operators
from pydatastream.parts.sql import values as v
from pydatastream.parts.sql.casts import cast, named_type, read_interval
from pydatastream.parts.sql.functions import AGGREGATE_NAMES, FUNCTIONS, element
from pydatastream.parts.sql.grammar import Query
from pydatastream.parts.sql.patterns import like, matches
from pydatastream.parts.sql.time_functions import PARTS
from pydatastream.parts.sql.values import Unfit, Value, combine

Scope = Mapping[str, Value]
"""The names an expression may use."""

_CLOCKS = "it would differ at each run; use a time column, or `time: processing` at the source"
_CHANCE = "it would differ at each run; a column of the rows can decide instead"
_REFUSED = {
    **dict.fromkeys(("now", "today", "current_timestamp", "current_date", "current_time"), _CLOCKS),
    **dict.fromkeys(("localtime", "localtimestamp", "get_current_timestamp"), _CLOCKS),
    **dict.fromkeys(("random", "rand", "uuid", "gen_random_uuid", "setseed"), _CHANCE),
}
_IN_WINDOWS = "aggregates go under `aggregate:` of a window"

_SYMBOLS: dict[type[exp.Expr], str] = {
    exp.Add: "+", exp.Sub: "-", exp.Mul: "*", exp.Div: "/", exp.IntDiv: "//", exp.Mod: "%",
    exp.EQ: "=", exp.NEQ: "<>", exp.LT: "<", exp.LTE: "<=", exp.GT: ">", exp.GTE: ">=",
    exp.NullSafeEQ: "is not distinct from", exp.NullSafeNEQ: "is distinct from",
    exp.And: "AND", exp.Or: "OR",
}  # fmt: skip


def scope_of(schema: pl.Schema) -> Scope:
    """The columns of a schema as names."""
    return {name: Value(pl.col(name), dtype, frozenset([name])) for name, dtype in schema.items()}


class Compiler:
    """Compiles the nodes of one query against one scope."""

    nodes: ClassVar[dict[type[exp.Expr], Callable[[Any, Any], Value]]]
    """How each kind of node is compiled; what is not here is refused."""

    def __init__(self, query: Query, scope: Scope) -> None:
        self.query = query
        self.scope = scope

    def value(self, node: exp.Expr) -> Value:
        """The node as a value; raises `ExpressionError` or `SchemaError` with its place."""
        compile_node = self.nodes.get(type(node))
        if compile_node is None:
            self.query.refuse(node, f"{type(node).__name__} is not allowed here")
        try:
            return compile_node(self, node)
        except Unfit as unfit:
            self.query.refuse(node, unfit.what, unfit.hint)

    def column(self, node: exp.Expr) -> Value:
        """A column, or a field of a struct column: a.b.c."""
        first, *fields = (
            [part.name for part in node.parts]
            if isinstance(node, exp.Column | exp.Dot)
            else [node.name]
        )
        if first not in self.scope:
            self._no_column(node, first)
        value = self.scope[first]
        for name in fields:
            value = _field(value, name)
        return value

    def _no_column(self, node: exp.Expr, name: str) -> NoReturn:
        if name.lower() in _REFUSED:
            raise Unfit(f"{name} is refused", _REFUSED[name.lower()])
        self.query.refuse(
            node, f"no column {name!r}", nearest(name, self.scope) or None, SchemaError
        )

    def literal(self, node: exp.Expr) -> Value:
        """A number or a string."""
        words = str(node.this)
        if node.args.get("is_string"):
            return v.literal(words, v.TEXT)
        if words.isdigit():
            if int(words) >= 2**63:
                raise Unfit(f"{words} is too large for an integer", f"{words}.0 is a float")
            return v.literal(int(words), v.INT)
        number = float(words)
        if number in (float("inf"), float("-inf")):
            raise Unfit(f"{words} is too large for a float")
        return v.literal(number, v.FLOAT)

    def logic(self, node: exp.Expr) -> Value:
        """A chain of ANDs, or of ORs, at once."""
        return operators.logic(
            _SYMBOLS[type(node)], [self.value(side) for side in node.flatten(unnest=False)]
        )

    def arithmetic(self, node: exp.Expr) -> Value:
        """`a + b` and the like."""
        return operators.arithmetic(_SYMBOLS[type(node)], *self.sides(node))

    def power(self, node: exp.Expr) -> Value:
        """`a ** b`; a chain is refused, as engines differ on what it means."""
        if isinstance(node.this, exp.Pow) or isinstance(node.expression, exp.Pow):
            raise Unfit("a chain of ** is refused", "power(a, b)")
        return operators.power(*self.sides(node))

    def compare(self, node: exp.Expr) -> Value:
        """`a = b` and the like."""
        return operators.compare(_SYMBOLS[type(node)], *self.sides(node))

    def sides(self, node: exp.Expr) -> tuple[Value, Value]:
        return self.value(node.this), self.value(node.expression)

    def is_(self, node: exp.Expr) -> Value:
        """`a IS NULL`, `a IS TRUE`."""
        value, wanted = self.value(node.this), node.expression
        if isinstance(wanted, exp.Null):
            return value.like(value.expr.is_null(), v.BOOLEAN)
        if not isinstance(wanted, exp.Boolean):
            raise Unfit("IS is followed by NULL, TRUE or FALSE")
        operators.condition_only(value, "IS")
        return value.like(value.expr.eq_missing(pl.lit(bool(wanted.this))), v.BOOLEAN)

    def within(self, node: exp.Expr) -> Value:
        """`a IN (1, 2)`."""
        if not node.expressions:
            raise Unfit("IN needs a list of values in brackets", "list_contains(list, value)")
        return operators.within(
            self.value(node.this), [self.value(choice) for choice in node.expressions]
        )

    def between(self, node: exp.Expr) -> Value:
        """`a BETWEEN low AND high`, both included."""
        value = self.value(node.this)
        low = operators.compare(">=", value, self.value(node.args["low"]))
        high = operators.compare("<=", value, self.value(node.args["high"]))
        return operators.logic("AND", [low, high])

    def like(self, node: exp.Expr, escape: str | None = None) -> Value:
        """`a LIKE 'x%'`, and ILIKE."""
        value, pattern = self.sides(node)
        found = like(value, pattern, isinstance(node, exp.ILike), escape)
        return operators.invert(found) if node.args.get("negate") else found

    def escape(self, node: exp.Expr) -> Value:
        """`a LIKE '10!%' ESCAPE '!'`."""
        sign = node.expression.name
        if not isinstance(node.this, exp.Like | exp.ILike) or len(sign) != 1:
            raise Unfit("ESCAPE takes one character, after LIKE")
        return self.like(node.this, sign)

    def case(self, node: exp.Expr) -> Value:
        """`CASE WHEN ... THEN ... ELSE ... END`, with or without a subject."""
        subject = node.args.get("this")
        tests = [self._test(branch, subject) for branch in node.args["ifs"]]
        results = [self.value(branch.args["true"]) for branch in node.args["ifs"]]
        otherwise = node.args.get("default")
        return _choose(tests, results, self.value(otherwise) if otherwise else None)

    def _test(self, branch: exp.Expr, subject: exp.Expr | None) -> Value:
        test = self.value(branch.this)
        if subject is not None:
            return operators.compare("=", self.value(subject), test)
        return operators.condition_only(test, "WHEN")

    def if_(self, node: exp.Expr) -> Value:
        """`if(condition, a, b)`."""
        test = operators.condition_only(self.value(node.this), "if")
        otherwise = node.args.get("false")
        return _choose(
            [test],
            [self.value(node.args["true"])],
            self.value(otherwise) if otherwise else None,
        )

    def cast(self, node: exp.Expr) -> Value:
        """`CAST(a AS type)`, `a::type`, `timestamp '...'`."""
        return cast(self.value(node.this), type_in(node), strict=not isinstance(node, exp.TryCast))

    def interval(self, node: exp.Expr) -> Value:
        """`interval '5 minutes'`."""
        unit = node.args.get("unit")
        return read_interval(node.this.name if node.this else "", unit.name if unit else None)

    def extract(self, node: exp.Expr) -> Value:
        """`extract(hour FROM ts)`."""
        part = node.name.lower()
        if part == "epoch":
            return FUNCTIONS["epoch"]("extract", [self.value(node.expression)])
        if part not in PARTS:
            raise Unfit(f"extract knows no {part!r}", nearest(part, PARTS))
        return FUNCTIONS[part]("extract", [self.value(node.expression)])

    def call(self, node: exp.Expr) -> Value:
        """A function by its name."""
        name = node.name.lower()
        if name in _REFUSED:
            raise Unfit(f"{name} is refused", _REFUSED[name])
        if name not in FUNCTIONS:
            self._no_function(name)
        return FUNCTIONS[name](name, [self.value(arg) for arg in node.expressions])

    def _no_function(self, name: str) -> NoReturn:
        if name in AGGREGATE_NAMES:
            raise Unfit(f"{name} is an aggregate, and this is about one row", _IN_WINDOWS)
        raise Unfit(f"no function {name!r}", nearest(name, [*FUNCTIONS, "cast", "if"]))

    def element(self, node: exp.Expr) -> Value:
        """`list[1]`."""
        if len(node.expressions) != 1:
            raise Unfit("[...] takes one number")
        return element(self.value(node.this), self.value(node.expressions[0]))


def _field(value: Value, name: str) -> Value:
    if not isinstance(value.dtype, pl.Struct):
        raise Unfit(f"{value} has no field {name!r}", 'a name with a dot is written "a.b"')
    fields = {one.name: one.dtype for one in value.dtype.fields}
    if name not in fields:
        raise Unfit(f"no field {name!r}", nearest(name, fields))
    dtype = fields[name]
    return value.like(value.expr.struct.field(name), dtype() if isinstance(dtype, type) else dtype)


def _choose(tests: list[Value], results: list[Value], otherwise: Value | None) -> Value:
    ends = [*results, *([otherwise] if otherwise else [])]
    exprs, dtype = v.unify(ends, "CASE")
    chain: Any = pl
    for test, result in zip(tests, exprs, strict=False):
        chain = chain.when(test.expr).then(result)
    found = chain.otherwise(exprs[-1]) if otherwise else chain.otherwise(None)
    return combine(found, dtype, *tests, *ends)


def type_in(node: exp.Expr) -> pl.DataType:
    """The type that a cast names."""
    return named_type(_type_words(node.args["to"]))


def _type_words(node: exp.Expr) -> str:
    """The name of a type as it was written: int, int[], list[int]."""
    inner, sizes = node.expressions, node.args.get("values") or []
    if not node.args.get("nested"):
        return str(node.args.get("kind") or node.this.value)
    if node.this is not exp.DType.ARRAY or len(inner) != 1:
        raise Unfit("a cast to this type is not allowed", "int, int[], list[int]")
    if not sizes:
        return f"{_type_words(inner[0])}[]"
    if inner[0].this is exp.DType.LIST and len(sizes) == 1:
        return f"{sizes[0].name}[]"
    raise Unfit("an array of fixed size is not allowed", "int[]")


Compiler.nodes = {
    exp.Column: Compiler.column,
    exp.Dot: Compiler.column,
    exp.Literal: Compiler.literal,
    exp.Boolean: lambda _, node: v.literal(bool(node.this), v.BOOLEAN),
    exp.Null: lambda _, __: Value(pl.lit(None), v.NOTHING),
    exp.Paren: lambda compiler, node: compiler.value(node.this),
    exp.Neg: lambda compiler, node: operators.negate(compiler.value(node.this)),
    exp.Not: lambda compiler, node: operators.invert(compiler.value(node.this)),
    exp.Pow: Compiler.power,
    exp.Is: Compiler.is_,
    exp.In: Compiler.within,
    exp.Between: Compiler.between,
    exp.Like: Compiler.like,
    exp.ILike: Compiler.like,
    exp.Escape: Compiler.escape,
    exp.RegexpLike: lambda compiler, node: matches(*compiler.sides(node)),
    exp.Case: Compiler.case,
    exp.If: Compiler.if_,
    exp.Cast: Compiler.cast,
    exp.TryCast: Compiler.cast,
    exp.DPipe: lambda compiler, node: operators.join_text(*compiler.sides(node)),
    exp.Interval: Compiler.interval,
    exp.Extract: Compiler.extract,
    exp.Anonymous: Compiler.call,
    exp.Bracket: Compiler.element,
    **dict.fromkeys((exp.And, exp.Or), Compiler.logic),
    **dict.fromkeys((exp.Add, exp.Sub, exp.Mul, exp.Div, exp.IntDiv, exp.Mod), Compiler.arithmetic),
    **dict.fromkeys(
        (exp.EQ, exp.NEQ, exp.LT, exp.LTE, exp.GT, exp.GTE, exp.NullSafeEQ, exp.NullSafeNEQ),
        Compiler.compare,
    ),
}
