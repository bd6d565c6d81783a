"""Instances of JSON Schemas, drawn by dice: what a model that talks nonsense answers in form.

A value is drawn along its schema as well as may be, and `jsonschema` judges the whole. What it
refuses is drawn again, some tens of times and ever less generously.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable, Iterator
from fractions import Fraction
from functools import partial
from math import ceil, floor
from operator import add
from typing import Any, TypeAlias
from urllib.parse import unquote

from meshapi._core.checks import fields_of, items_of

Shape: TypeAlias = dict[str, Any]
_STEPS, _DEPTH, _MOST, _TRIES = 10_000, 24, 1000, 20
_WORDS = ("amber", "birch", "cloud", "delta", "ember", "flint", "grove", "harbor", "iris", "jade")


class Unsatisfiable(ValueError):
    """No instance was found; the text says what could not be met, and where."""


def instance_of(
    schema: object, dice: random.Random, words: Callable[[], str] | None = None
) -> object:
    """An instance that satisfies a JSON Schema (draft 2020-12), the same for the same dice.

    The schema may refer to itself by JSON Pointers. `words` gives a text where any may stand.
    Unsatisfiable says why there is none, ModuleNotFoundError that the extra `local` is missing.
    """
    failure = ""
    try:
        from jsonschema import SchemaError, ValidationError

        root = _copied(schema)
        for tried in range(_TRIES):
            drawing = _Drawing(root, dice, words, generous=3 - tried * 4 // _TRIES)
            try:
                return drawing.judged(drawing.draw({"$ref": "#"}, 0))
            except (SchemaError, ValidationError) as wrong:
                failure = f"{wrong.validator} fails at {wrong.json_path}: {wrong.message[:200]}"
            except Unsatisfiable as unmet:
                failure = str(unmet)
    except (RecursionError, ArithmeticError):
        failure = "The schema nests without end, or has too large a number."
    except ModuleNotFoundError as missing:
        failure = "An answer to a schema needs the extra: pip install 'meshapi[local]'"
        raise ModuleNotFoundError(failure, name=missing.name) from None
    raise Unsatisfiable(failure)


def _copied(schema: object) -> object:
    try:
        text = json.dumps(schema, allow_nan=False, indent=1)
    except (TypeError, ValueError):
        raise Unsatisfiable("The schema is not a JSON document.") from None
    if re.search(r'^ {80}|^  +"\$(schema|id)": "', text, re.MULTILINE):  # What jsonschema trips on.
        raise Unsatisfiable("The schema nests too deeply, or has a $schema or $id inside.")
    root: Any = json.loads(text)
    for each in ("$schema", "$id"):  # Whatever they name, this reads draft 2020-12, and only this.
        fields_of(root).pop(each, None)
    return root


class _Drawing:
    """One try: what it draws with, and what judges the drawn."""

    def __init__(
        self, root: Any, dice: random.Random, words: Callable[[], str] | None, generous: int
    ) -> None:
        from jsonschema import validators

        self.root, self.dice, self.generous = root, dice, generous
        self.words = words or (lambda: " ".join(dice.choices(_WORDS, k=dice.randint(1, 3))))
        self.steps, self.targets = _STEPS, Shape()
        library: Any = validators  # It has no types.
        # Its own way with references asks the network, and in a loop it panics.
        follow = dict.fromkeys(("$ref", "$dynamicRef"), self._follow)
        judges = library.extend(library.Draft202012Validator, follow)
        self.judge = judges({"$ref": "#"}, format_checker=judges.FORMAT_CHECKER)

    def judged(self, value: Any) -> object:
        self.judge.validate(value)
        return value

    def target(self, reference: str) -> Any:
        """The schema that a reference leads to."""
        if reference not in self.targets:
            start, *steps = unquote(reference).split("/")
            node = self.root if start == "#" else None
            for step in steps:
                inner = fields_of(node) or {str(at): x for at, x in enumerate(items_of(node))}
                node = inner.get(step.replace("~1", "/").replace("~0", "~"))
            if node is None:
                raise Unsatisfiable(f"The reference {reference} leads nowhere inside the schema.")
            self.judge.check_schema(node)
            self.targets[reference] = node
        return self.targets[reference]

    def _follow(self, judge: Any, reference: str, value: object, _schema: object) -> Iterator[Any]:
        yield from judge.descend(value, self.target(reference))

    def draw(self, schema: object, level: int) -> Any:
        """A value that a schema probably allows."""
        shape = self._resolved(schema, level)
        kinds = _listed(shape.get("type", [_HINTS[x] for x in shape if x in _HINTS] or _ANY))
        if level >= self.generous:
            kinds = [each for each in kinds if each not in {"array", "object"}] or kinds
        # On its own grid, a number may be an integer as well.
        kinds = [each for each in kinds if each != "integer" or "number" not in kinds]
        kind = "enum" if "enum" in shape else self.dice.choice(kinds or ["null"])
        flat = {each: shape[each] for each in _FLAT if each in shape}
        judge = self.judge.evolve(schema=kind in {"array", "object"} or flat)
        return _tried(partial(_MAKERS[kind], self, shape, level), judge.is_valid)

    def _resolved(self, schema: object, level: int) -> Shape:
        """One shape for a schema: its references followed, and of each fork one branch taken."""
        self.spend(1 if level <= _DEPTH else _STEPS)
        given: Shape = {"enum": []} if schema is False else fields_of(schema)
        shape = given | ({"enum": [given["const"]]} if "const" in given else {})
        parts = [self.target(str(given["$ref"]))] if "$ref" in given else []
        for part in parts + items_of(given.get("allOf")):
            shape = _merged(shape, self._resolved(part, level))
        for branches in [items_of(given[each]) for each in ("anyOf", "oneOf") if each in given]:
            shape = self._either(shape, branches, level)
        return shape

    def _either(self, shape: Shape, branches: list[object], level: int) -> Shape:
        """The shape merged with a branch that it does not contradict."""
        for branch in sorted(branches, key=partial(self._rank, branches, level)):
            merged = _merged(shape, self._resolved(branch, level))
            if merged.get("enum") != [] and merged.get("type") != []:
                return merged
        return {"enum": []}

    def _rank(self, branches: list[object], level: int, branch: object) -> float:
        """Any order; but where room is scarce, first what refers to little and so ends soon."""
        shape, types = fields_of(branch), [fields_of(each).get("type") for each in branches]
        if shape.get("type") == "string" and "number" in types and not _SPECIFIC & shape.keys():
            return 1000  # Such text is a number too: a Decimal of pydantic.
        target = self.target(str(shape["$ref"])) if "$ref" in shape else branch
        references = json.dumps(target).count('"$ref"') if level >= self.generous else 0
        return self.dice.random() * (1 + 9 * references)

    def spend(self, steps: int) -> None:
        self.steps -= steps
        if self.steps < 0:
            raise Unsatisfiable("The schema nests too deeply, or asks for too much.")

    def object(self, shape: Shape, level: int) -> Shape:
        (low, high), generous = _bounds(shape, "Properties"), level < self.generous
        known, required = shape.get("properties", {}), dict.fromkeys(shape.get("required", []))
        others, patterns = shape.get("additionalProperties", True), shape.get("patternProperties")
        optional = [name for name in known if name not in required and known[name] is not False]
        likely = sum(self.dice.random() < 0.8 for _ in optional) if generous else 0
        count = min(max(likely, low - len(required)), high - len(required), len(optional))
        names = [*required, *self.dice.sample(optional, max(count, 0))]
        drawn = {name: self.draw(known.get(name, others), level + 1) for name in names}
        if generous and shape.get("additionalProperties") and not known:
            low = max(low, min(high, self.dice.randint(1, 3)))
        for _ in range(low - len(drawn)):
            pattern = self.dice.choice([*fields_of(patterns)] or [""])
            naming: list[object] = [shape.get("propertyNames", True), {"type": "string"}]
            naming += [{"pattern": pattern}] if pattern else []
            make = partial(self.draw, {"allOf": naming}, level + 1)
            name = _tried(make, lambda each: each not in drawn)
            if name in drawn:
                break
            drawn[name] = self.draw(fields_of(patterns).get(pattern, others), level + 1)
        return drawn

    def array(self, shape: Shape, level: int) -> list[Any]:
        low, high = _bounds(shape, "Items")
        firsts, others = shape.get("prefixItems", []), shape.get("items", True)
        most = max(low, min(high, max(len(firsts), 0 if others is False else 3)))
        count = self.dice.randint(max(low, min(most, 1)), most) if level < self.generous else low
        drawn: list[Any] = []
        barred = drawn if shape.get("uniqueItems") else []
        for schema in [*firsts, *[others] * count][:count]:
            item = _tried(partial(self.draw, schema, level + 1), lambda each: each not in barred)
            drawn += [item] if item not in barred else []
        if "contains" in shape:
            drawn[high - 1 :] = [self.draw({"allOf": [others, shape["contains"]]}, level + 1)]
        return drawn

    def string(self, shape: Shape, _level: int) -> str:
        from rstr import Rstr

        low, high = _bounds(shape, "Length")
        patterns = [shape.get("pattern"), _FORMATS.get(shape.get("format", ""))]
        pattern = self.dice.choice([each for each in patterns if each] or [""])
        hand = _Hand(self.dice.getrandbits(64))
        hand.spend, hand.reach = self.spend, self.dice.choice([1, max(low, 8)])
        try:
            made = Rstr(hand).xeger(pattern) if pattern else self.words()
        except (LookupError, TypeError, ValueError):
            raise Unsatisfiable(f"Nothing is drawn for the pattern {pattern[:200]}.") from None
        while len(made) < low and "$" not in pattern:
            made += f" {self.words()}"
        return made if pattern else made[:high]

    def number(self, shape: Shape, _level: int, grid: str = "0.01") -> float:
        step = Fraction(str(shape.get("multipleOf", grid)))
        lows, highs = ([Fraction(str(shape[x])) for x in ends if x in shape] for ends in _ENDS)
        low = max(lows or [min([Fraction(), *(high - 100 for high in highs)])])
        high = min(highs or [low + 100 * max(step, Fraction(1))])
        if grid == "1":
            step = Fraction(step.numerator)
        elif "multipleOf" not in shape:
            step = min(step, (high - low) / 8) or step
        first, last = ceil(low / step), floor(high / step)
        value = self.dice.randint(first, max(first, last)) * step
        return int(value) if value.denominator == 1 else float(value)


def _merged(one: Shape, other: Shape) -> Shape:
    shared = [each for each in _MERGES if each in one and each in other]
    return one | other | {each: _MERGES[each](one[each], other[each]) for each in shared}


def _listed(types: Any) -> list[str]:
    listed = [types] if isinstance(types, str) else [*types]
    return [*listed, "integer"] if "number" in listed and "integer" not in listed else listed


def _tried(make: Callable[[], Any], is_good: Callable[[Any], bool]) -> Any:
    """The first of some tens that is good, or else the last."""
    made: Any = None
    for _ in range(2 * _TRIES):
        made = make()
        if is_good(made):
            break
    return made


def _bounds(shape: Shape, noun: str) -> tuple[int, int]:
    low = int(shape.get(f"min{noun}", 0))
    return low if low <= _MOST else 0, int(shape.get(f"max{noun}", _MOST))


class _Hand(random.Random):
    """Dice for `rstr`: few repeats, plain letters, and nothing hangs on the order of a set."""

    spend: Callable[[int], None]
    reach: int

    def randint(self, a: int, b: int) -> int:
        self.spend(1 + a // 10)
        return super().randint(a, max(a, min(b, a + self.reach)))

    def choice(self, seq: Any) -> Any:
        self.spend(1 + len(seq) // 10)
        plain = sorted((each for each in seq if str(each).isprintable()), key=str)
        return super().choice(plain or seq)


_SPECIFIC = {"pattern", "format", "enum", "const"}
_HINTS = {"properties": "object", "required": "object", "items": "array", "pattern": "string"}
_ANY = ("string", "string", "integer", "boolean", "null")
_ENDS = (("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum"))
_FLAT = ("type", "pattern", "format", "minLength", "maxLength", "multipleOf", *_ENDS[0], *_ENDS[1])
_FORMATS = {
    "date-time": r"20[0-2]\d-0[1-9]-[12]\dT[01]\d:[0-5]\d:[0-5]\dZ",
    "date": r"20[0-2]\d-0[1-9]-[12]\d",
    "time": r"[01]\d:[0-5]\d:[0-5]\dZ",
    "duration": r"P[1-9]DT[1-9]H",
    "uuid": r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}",
    "email": r"[a-z]{5,9}@example\.com",
    "hostname": r"[a-z]{5,9}\.example",
    "uri": r"https://example\.com/[a-z]{5,9}",
    "ipv4": r"([1-9]\d\.){3}[1-9]\d",
    "ipv6": r"([1-9a-f][0-9a-f]{3}:){7}[1-9a-f][0-9a-f]{3}",
}
_MERGES: dict[str, Callable[[Any, Any], object]] = {
    "type": lambda a, b: [x for x in _listed(a) if x in _listed(b)],
    "enum": lambda a, b: [x for x in a if x in b],
    "required": add,
    "pattern": partial(max, key=len),
    "properties": lambda a, b: a | b | {x: {"allOf": [a[x], b[x]]} for x in a if x in b},
    **dict.fromkeys(("items", "additionalProperties"), lambda a, b: {"allOf": [a, b]}),
    **dict.fromkeys(("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties"), max),
    **dict.fromkeys(("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties"), min),
}
_MAKERS: dict[str, Callable[[_Drawing, Shape, int], object]] = {
    "null": lambda _drawing, _shape, _level: None,
    "boolean": lambda drawing, _shape, _level: drawing.dice.random() < 0.5,
    "integer": partial(_Drawing.number, grid="1"),
    "number": _Drawing.number,
    "string": _Drawing.string,
    "array": _Drawing.array,
    "object": _Drawing.object,
    "enum": lambda drawing, shape, _level: drawing.dice.choice(shape["enum"] or [None]),
}
