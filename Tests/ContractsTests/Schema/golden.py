"""Prints golden verdicts: random schemas and values, and whether a validator that is not ours accepts them.

    python -m pip install jsonschema && python Tests/ContractsTests/Schema/golden.py > Tests/ContractsTests/Schema/golden.txt

One line each: schema, value, `1` or `0`, separated by tabs. The schemas have every keyword that we support and that both
read alike: formats are left out, and of patterns what ECMAScript, Python and PCRE2 share.

Made with jsonschema 4.26.0.
"""

import json
import random

from jsonschema import Draft202012Validator

dice = random.Random(20261)
NAMES = ["a", "b", "c", "ab", "é"]
PATTERNS = ["^a", "b$", "^[a-c]{1,3}$", "é", "a.c", "^$", "(a|b)+c?"]
TYPES = ["null", "boolean", "object", "array", "string", "number", "integer"]
NUMBERS = [0, 1, -1, 2, 3, 1.0, 0.5, 2.5, -0.5, 10, 1e3, 12345678901, 9007199254740993, -9223372036854775808, 1.5e300]
STRINGS = ["", "a", "b", "abc", "é", "aé", "😀", "aaaa", "bca", "c"]


def value(depth: int = 0) -> object:
    kind = dice.randrange(6 if depth < 3 else 4)
    if kind == 0:
        return dice.choice([None, True, False])
    if kind == 1:
        return dice.choice(NUMBERS)
    if kind in (2, 3):
        return dice.choice(STRINGS)
    if kind == 4:
        return [value(depth + 1) for _ in range(dice.randrange(4))]
    return {dice.choice(NAMES): value(depth + 1) for _ in range(dice.randrange(4))}


def low_high(schema: dict, low: str, high: str) -> None:
    first, second = sorted((dice.randrange(4), dice.randrange(5)))
    if dice.random() < 0.6:
        schema[low] = first
    if dice.random() < 0.6:
        schema[high] = second


def schema(depth: int = 0) -> object:
    if dice.random() < 0.06:
        return dice.random() < 0.5
    made: dict = {}
    some = lambda: schema(depth + 1)
    table = lambda: {name: some() for name in dice.sample(NAMES, dice.randrange(1, 4))}
    several = lambda: [some() for _ in range(dice.randrange(1, 4))]
    for _ in range(dice.randrange(1, 4)):
        match dice.randrange(24 if depth < 3 else 10):
            case 0 | 1:
                made["type"] = dice.choice([dice.choice(TYPES), dice.sample(TYPES, 2)])
            case 2:
                made["enum"] = [value(1) for _ in range(dice.randrange(1, 4))]
            case 3:
                made["const"] = value(1)
            case 4:
                low_high(made, "minLength", "maxLength")
            case 5:
                made["pattern"] = dice.choice(PATTERNS)
            case 6:
                made[dice.choice(["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"])] = dice.choice(NUMBERS)
            case 7:
                made["multipleOf"] = dice.choice([1, 2, 3, 0.5])
            case 8:
                low_high(made, "minItems", "maxItems")
            case 9:
                made["uniqueItems"] = dice.random() < 0.8
            case 10 | 11:
                made["properties"] = table()
            case 12:
                made["required"] = dice.sample(NAMES, dice.randrange(1, 3))
            case 13:
                made["additionalProperties"] = some()
            case 14:
                made["patternProperties"] = {dice.choice(PATTERNS): some()}
            case 15:
                made["items"] = some()
            case 16:
                made["prefixItems"] = several()
            case 17:
                low_high(made, "minProperties", "maxProperties")
            case 18:
                made["propertyNames"] = some()
            case 19:
                made["allOf"] = several()
            case 20:
                made["anyOf"] = several()
            case 21:
                made["oneOf"] = several()
            case 22:
                made["not"] = some()
            case 23:
                made["if"] = some()
                made["then"] = some()
                if dice.random() < 0.5:
                    made["else"] = some()
    if depth == 0 and dice.random() < 0.3:
        made["$defs"] = {"x": schema(2), "tree": {"type": ["object", "array"], "additionalProperties": {"$ref": "#/$defs/tree"},
                                                   "items": {"anyOf": [{"$ref": "#/$defs/tree"}, {"$ref": "#/$defs/x"}]}}}
        made["properties"] = {"a": {"$ref": "#/$defs/x"}, "b": {"$ref": "#/$defs/tree"}}
    return made


def main() -> None:
    written = {True: 0, False: 0}
    while min(written.values()) < 500:
        made = schema()
        Draft202012Validator.check_schema(made)
        validator = Draft202012Validator(made)
        for _ in range(3):
            instance = value()
            verdict = validator.is_valid(instance)
            if written[verdict] >= 700:
                continue
            written[verdict] += 1
            dump = lambda thing: json.dumps(thing, ensure_ascii=dice.random() < 0.2, separators=(",", ":"))
            print(f"{dump(made)}\t{dump(instance)}\t{int(verdict)}")


main()
