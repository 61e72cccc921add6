"""Writes docs/API_ENDPOINTS.md from docs/api/openapi.yaml: the interface to read, where the other is to generate from.

scripts/openapi runs it after it has written the document.
"""

import json
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "docs" / "api" / "openapi.yaml"
TARGET = ROOT / "docs" / "API_ENDPOINTS.md"
METHODS = ("get", "post", "put", "patch", "delete")
_ROLES = {"admin": "administrators", "training_staff": "training staff", "cadet": "cadets"}
_JSON, _FORM = "application/json", "multipart/form-data"
_PLAIN = {
    "integer": 1,
    "number": 1.0,
    "boolean": True,
    "date": "2026-08-22",
    "date-time": "2026-08-22T01:15:00Z",
    "email": "liza@rotc.example",
    "uuid": "11111111-1111-4111-8111-111111111111",
    "decimal": "10.00",
}
_DEPTH = 4  # levels of fields in fields that are written out

Document = Mapping[str, Any]


def endpoints_page(document: Document) -> str:
    """The page in Markdown, for a whole OpenAPI document."""
    operations = list(_operations(document))
    tags = {tag["name"]: tag["description"] for tag in document["tags"]}
    lines = [
        "# REST interface",
        "",
        (
            "Generated from `docs/api/openapi.yaml` by `./scripts/openapi`; a test compares. Who may call what stands "
            "in [permissions.md](permissions.md); `/api/docs/` shows the same document in a browser."
        ),
        "",
        (
            "The examples take the address of the service from `$RGMS` and an access token from `$TOKEN`. Every path "
            "works with and without a slash at its end. Errors are problem documents (RFC 9457): `code` is stable and "
            "for programs, `detail` says what to do, `request_id` is what support asks for."
        ),
        "",
        "## Errors that every operation shares",
        "",
        "| status | meaning |",
        "| --- | --- |",
        *(f"| {status} | {_inline(meaning)} |" for status, meaning in _shared_meanings(operations).items()),
        "",
        "## Contents",
        "",
    ]
    for tag, about in tags.items():
        lines.append(f"- [{_title(tag)}](#{_anchor(_title(tag))}): {about}")
        lines += [
            f"  - [`{method.upper()} {path}`](#{_anchor(f'{method.upper()} {path}')}) {operation.get('summary', '')}"
            for method, path, operation in operations
            if operation["tags"][0] == tag
        ]
    for tag, about in tags.items():
        lines += ["", f"## {_title(tag)}", "", about]
        for method, path, operation in operations:
            if operation["tags"][0] == tag:
                lines += ["", *_section(document, method, path, operation, _shared_meanings(operations))]
    return "\n".join(lines) + "\n"


def _operations(document: Document) -> Iterator[tuple[str, str, Document]]:
    for path, methods in document["paths"].items():
        for method in METHODS:
            if method in methods:
                yield method, path, methods[method]


def _shared_meanings(operations: Sequence[tuple[str, str, Document]]) -> dict[str, str]:
    """Statuses from 400 with the words that most of their operations give them; a section tells what differs."""
    words: dict[str, dict[str, int]] = {}
    for _, _, operation in operations:
        for status, answer in operation["responses"].items():
            if status >= "400" and answer.get("description"):
                count = words.setdefault(status, {})
                count[answer["description"]] = count.get(answer["description"], 0) + 1
    most = {status: max(words[status], key=lambda word: words[status][word]) for status in sorted(words)}
    return {status: word for status, word in most.items() if 2 * words[status][word] > sum(words[status].values())}


def _section(
    document: Document, method: str, path: str, operation: Document, shared: Mapping[str, str]
) -> Iterator[str]:
    yield f"### {method.upper()} {path}"
    yield ""
    yield f"**{operation.get('summary', operation['operationId'])}.** `{operation['operationId']}`"
    if operation.get("description"):
        yield ""
        yield operation["description"].strip()
    yield ""
    yield f"Who: {_who(operation)}."
    if parameters := operation.get("parameters"):
        yield from ["", "| parameter | in | type | meaning |", "| --- | --- | --- | --- |"]
        for parameter in parameters:
            required = ", required" if parameter.get("required") and parameter["in"] != "path" else ""
            yield (
                f"| `{parameter['name']}` | {parameter['in']}{required} | {_type(document, parameter['schema'])} "
                f"| {_inline(parameter.get('description', ''))} |"
            )
    for media_type, body in operation.get("requestBody", {}).get("content", {}).items():
        yield from ["", f"Body, `{media_type}`:", ""]
        yield from _fields(document, body["schema"])
    yield from ["", "| answer | meaning |", "| --- | --- |"]
    own, common = [], []
    for status, answer in sorted(operation["responses"].items()):
        if status >= "400" and answer.get("description") == shared.get(status):
            common.append(status)
        else:
            own.append(f"| {status} | {_meaning(document, answer)} |")
    yield from own
    if common:
        yield f"| {', '.join(common)} | as everywhere |"
    yield from ["", "```sh", *_curl(document, method, path, operation), "```"]
    if example := _answer_example(operation):
        yield from ["", "```json", example, "```"]


def _who(operation: Document) -> str:
    if not any("bearer" in requirement for requirement in operation.get("security", [])):
        return "everybody, without a token"
    roles = operation.get("x-roles", [])
    return "everybody who is signed in" if len(roles) in {0, len(_ROLES)} else " and ".join(_ROLES[r] for r in roles)


def _resolved(document: Document, schema: Document) -> Document:
    while "$ref" in schema or len(schema.get("allOf", ())) == 1:
        if "$ref" in schema:
            target: Any = document
            for part in schema["$ref"].removeprefix("#/").split("/"):
                target = target[part]
            schema = {**target, **{name: value for name, value in schema.items() if name != "$ref"}}
        else:
            inner = schema["allOf"][0]
            schema = {**{name: value for name, value in schema.items() if name != "allOf"}, **inner}
    return schema


def _type(document: Document, schema: Document) -> str:
    """A field's type in few words: "string (date)", "one of `a`, `b`", "array of integer"."""
    schema = _resolved(document, schema)
    for choice in ("oneOf", "anyOf"):
        if choice in schema:
            kinds = [_type(document, inner) for inner in schema[choice]]
            return " or ".join(dict.fromkeys(kind for kind in kinds if kind != "one of `null`"))
    if "enum" in schema:
        words = ", ".join(
            f"`{json.dumps(value) if value is None else value}`" for value in schema["enum"] if value != ""
        )
        return f"one of {words}"
    kinds = schema.get("type", "any")
    named = [
        f"array of {_type(document, schema.get('items', {}))}" if kind == "array" else _bounded(kind, schema)
        for kind in ([kinds] if isinstance(kinds, str) else kinds)
    ]
    return " or ".join(named)


def _bounded(kind: str, schema: Document) -> str:
    if kind == "null":
        return kind
    limits = [schema["format"]] if "format" in schema else []
    if "minimum" in schema and "maximum" in schema:
        limits.append(f"{schema['minimum']} to {schema['maximum']}")
    elif "minimum" in schema:
        limits.append(f"from {schema['minimum']}")
    if "maxLength" in schema:
        limits.append(f"at most {schema['maxLength']}")
    return f"{kind} ({', '.join(limits)})" if limits else kind


def _fields(document: Document, schema: Document) -> Iterator[str]:
    yield from ["| field | type | meaning |", "| --- | --- | --- |"]
    yield from _field_rows(document, schema, prefix="", depth=_DEPTH)


def _field_rows(document: Document, schema: Document, *, prefix: str, depth: int) -> Iterator[str]:
    schema = _resolved(document, schema)
    required = set(schema.get("required", ()))
    if not schema.get("properties"):
        yield f"| {f'`{prefix}`' if prefix else 'the body'} | {_type(document, schema)} | |"
    for name, inner in schema.get("properties", {}).items():
        field = _resolved(document, inner)
        meaning = _inline(field.get("description", ""))
        optional = "" if name in required else " *optional*"
        yield f"| `{prefix}{name}`{optional} | {_type(document, inner)} | {meaning} |"
        below = _resolved(document, field.get("items", field))
        if below.get("properties") and depth:
            step = f"{prefix}{name}[]." if "items" in field else f"{prefix}{name}."
            yield from _field_rows(document, below, prefix=step, depth=depth - 1)


def _meaning(document: Document, answer: Document) -> str:
    words = [_inline(answer["description"])] if answer.get("description") else []
    for media_type, body in answer.get("content", {}).items():
        if media_type == "application/problem+json":
            continue
        reference = body.get("schema", {}).get("$ref", "")
        name = reference.rsplit("/", 1)[-1]
        words.append(f"`{media_type}`" + (f" `{name}`" if name else f" {_type(document, body.get('schema', {}))}"))
    return " ".join(words) or "Nothing in the body."


def _curl(document: Document, method: str, path: str, operation: Document) -> list[str]:
    address = re.sub(r"{(\w+)}", lambda found: _sample_of_path(document, operation, found[1]), path)
    query = "&".join(
        f"{parameter['name']}={_sample(document, parameter)}"
        for parameter in operation.get("parameters", ())
        if parameter["in"] == "query" and parameter.get("required")
    )
    quoted = f'"$RGMS{address}{"?" + query if query else ""}"'
    lines = [f"curl {'' if method == 'get' else f'-X {method.upper()} '}{quoted}"]
    if any("bearer" in requirement for requirement in operation.get("security", [])):
        lines.append('-H "Authorization: Bearer $TOKEN"')
    lines += [
        f"-H '{parameter['name']}: {_sample(document, parameter)}'"
        for parameter in operation.get("parameters", ())
        if parameter["in"] == "header" and parameter.get("required")
    ]
    content = operation.get("requestBody", {}).get("content", {})
    if _JSON in content:
        lines += ["-H 'Content-Type: application/json'", f"-d '{_body_sample(document, content[_JSON])}'"]
    elif _FORM in content:
        schema = _resolved(document, content[_FORM]["schema"])
        lines += [f"-F '{_form_sample(document, name, inner)}'" for name, inner in schema.get("properties", {}).items()]
    return [line if place == 0 else f"  {line}" for place, line in enumerate(_continued(lines))]


def _continued(lines: Sequence[str]) -> list[str]:
    return [f"{line} \\" for line in lines[:-1]] + [lines[-1]]


def _sample_of_path(document: Document, operation: Document, name: str) -> str:
    for parameter in operation.get("parameters", ()):
        if (parameter["in"], parameter["name"]) == ("path", name):
            return str(_sample(document, parameter)).replace("…", "1")
    return "1"


def _sample(document: Document, parameter: Document) -> Any:
    for example in parameter.get("examples", {}).values():
        return example["value"]
    return parameter.get("example", _value(document, parameter["schema"]))


def _body_sample(document: Document, content: Document) -> str:
    for example in content.get("examples", {}).values():
        value = example["value"]
        break
    else:
        value = _value(document, content["schema"])
    return json.dumps(value, ensure_ascii=False).replace("'", "'\\''")


def _form_sample(document: Document, name: str, schema: Document) -> str:
    field = _resolved(document, schema)
    binary = field.get("format") == "binary" or "contentMediaType" in field
    return f"{name}=@file" if binary else f"{name}={_value(document, field)}"


def _value(document: Document, schema: Document) -> Any:
    """A believable value of a schema: its example, its first choice, or the plainest of its type."""
    schema = _resolved(document, schema)
    kinds = schema.get("type", "string")
    kind = kinds if isinstance(kinds, str) else kinds[0]
    if given := [schema[name] for name in ("example", "default") if name in schema]:
        return given[0]
    if listed := schema.get("examples") or schema.get("enum"):
        return listed[0]
    if choices := schema.get("oneOf") or schema.get("anyOf"):
        return _value(document, choices[0])
    if kind == "object":
        fields = schema.get("properties", {})
        return {name: _value(document, fields[name]) for name in fields if name in schema.get("required", fields)}
    if kind == "array":
        return [_value(document, schema.get("items", {}))]
    return _PLAIN.get(kind, _PLAIN.get(schema.get("format", ""), "…"))


def _answer_example(operation: Document) -> str:
    for status, answer in sorted(operation["responses"].items()):
        if status < "300":
            for example in answer.get("content", {}).get(_JSON, {}).get("examples", {}).values():
                return json.dumps(example["value"], indent=2, ensure_ascii=False)
    return ""


def _title(tag: str) -> str:
    return tag.replace("-", " ").replace("_", " ").capitalize()


def _anchor(heading: str) -> str:
    """As GitHub makes anchors of headings."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def _inline(text: str) -> str:
    """Text that fits into a cell of a table."""
    return " ".join(text.replace("|", "\\|").split())


def main() -> int:
    TARGET.write_text(endpoints_page(yaml.safe_load(SOURCE.read_text())))
    return 0


if __name__ == "__main__":
    sys.exit(main())
