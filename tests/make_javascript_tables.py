"""What JavaScript's verdict knows by Python's tables: written by `make javascript-tables`, held by a test.

ONNX's own schemas (inputs' names, attributes' defaults) and the kinds and limits of a verdict then stand once.
"""

import json
from collections.abc import Callable
from pathlib import Path

import onnx

from runtime.artifact.onnx_nodes import attribute_text
from runtime.float64.operators import OLDEST_OPSET
from runtime.verdict import drift
from runtime.verdict.verdict_kinds import Verdict

SOURCES = Path(__file__).parents[1] / "runtime" / "javascript" / "src"
_HEAD = "// Made by `make javascript-tables` from Python's own tables. Don't edit it.\n\n"
_LIMITS = ("PASSING_DRIFT", "PASSING_ERROR", "FILE_PASSING_DRIFT", "FILE_RUNNER", "UNPROVEN_NOISE")


def verdict_table() -> str:
    """Return verdict/verdict_table.js: each verdict's row, and the limits of `drift.py`."""
    rows = {row.value: {"fails": row.fails, "sign": row.sign, "tone": row.tone, "words": row.words} for row in Verdict}
    kinds = " | ".join(f'"{name}"' for name in rows)
    limits = "\n".join(f"export const {name} = {json.dumps(getattr(drift, name))};" for name in _LIMITS)
    return (
        f"{_HEAD}/** @typedef {{{kinds}}} Verdict */\n\n"
        "/** @type {Readonly<Record<Verdict, { fails: boolean, sign: string, tone: string, words: string }>>} */\n"
        f"export const VERDICTS = Object.freeze({json.dumps(rows, indent=2, ensure_ascii=False)});\n\n{limits}\n"
    )


def onnx_schemas() -> str:
    """Return float64/onnx_schemas.js: by operator and the opset from which on it is so, its inputs and defaults."""
    found: dict[str, dict[int, onnx.defs.OpSchema]] = {}
    for schema in onnx.defs.get_all_schemas_with_history():
        if schema.domain == "":
            found.setdefault(schema.name, {})[schema.since_version] = schema
    rows = {name: _versions(schemas) for name, schemas in sorted(found.items())}
    value = "number | string | (number | string)[]"
    lines = ",\n".join(f"  {json.dumps(name)}: {json.dumps(row)}" for name, row in rows.items())
    return (
        f"{_HEAD}/**\n * @typedef {{object}} Schema\n"
        " * @property {string[]} inputs names; `...` as the last one: any number more, of no name\n"
        " * @property {Defaults} defaults of attributes\n"
        " * @property {Record<string, string>} texts the same as `operations.json` has them\n */\n\n"
        f"export const NEWEST_OPSET = {onnx.defs.onnx_opset_version()};\n\n"
        f"/** @typedef {{Record<string, {value}>}} Defaults */\n\n"
        "/** @type {Record<string, [number, string[], Defaults, Record<string, string>][]>} */\n"
        f"const SCHEMAS = {{\n{lines},\n}};\n\n"
        "/**\n * @param {string} operator\n * @param {number} opset\n * @returns {Schema | undefined}\n */\n"
        "export function schemaOf(operator, opset) {\n"
        "  const versions = Object.hasOwn(SCHEMAS, operator) ? SCHEMAS[operator] : [];\n"
        "  const found = versions.filter(([since]) => since <= opset).pop();\n"
        "  return found && { inputs: found[1], defaults: found[2], texts: found[3] };\n}\n"
    )


def _versions(schemas: dict[int, onnx.defs.OpSchema]) -> list[list[object]]:
    versions: list[list[object]] = []
    for since, schema in sorted(schemas.items()):
        row: list[object] = [since, _inputs(schema), *_defaults(schema)]
        if since < OLDEST_OPSET:
            versions.clear()  # what is older than the oldest that is computed
        if not versions or versions[-1][1:] != row[1:]:
            versions.append(row)
    return versions


def _inputs(schema: onnx.defs.OpSchema) -> list[str]:
    variadic = onnx.defs.OpSchema.FormalParameterOption.Variadic
    return ["..." if each.option == variadic else each.name for each in schema.inputs]


def _defaults(schema: onnx.defs.OpSchema) -> tuple[dict[str, object], dict[str, str]]:
    values: dict[str, object] = {}
    texts: dict[str, str] = {}
    for name, attribute in sorted(schema.attributes.items()):
        default = attribute.default_value
        if not default.type:
            continue
        text = attribute_text(default)
        if text is not None:
            texts[name] = text
            value = onnx.helper.get_attribute_value(default)
            values[name] = value.decode() if isinstance(value, bytes) else _plain(value)
    return values, texts


def _plain(value: object) -> object:
    """Return a number, or a list of numbers or texts."""
    return [each.decode() if isinstance(each, bytes) else each for each in value] if isinstance(value, list) else value


FILES: dict[Path, Callable[[], str]] = {
    SOURCES / "verdict" / "verdict_table.js": verdict_table,
    SOURCES / "float64" / "onnx_schemas.js": onnx_schemas,
}

if __name__ == "__main__":
    for file, text in FILES.items():
        file.write_text(text(), encoding="utf-8")
