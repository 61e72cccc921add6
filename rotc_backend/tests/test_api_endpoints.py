"""docs/API_ENDPOINTS.md tells what docs/api/openapi.yaml tells."""

import yaml

from scripts.endpoints import METHODS, SOURCE, TARGET, endpoints_page


def test_the_committed_page_is_what_the_openapi_document_gives() -> None:
    page = endpoints_page(yaml.safe_load(SOURCE.read_text()))
    assert TARGET.read_text() == page, "run ./scripts/openapi and look at its diff"


def test_every_operation_has_its_section_with_an_example() -> None:
    document = yaml.safe_load(SOURCE.read_text())
    page = endpoints_page(document)
    operations = [
        f"{method.upper()} {path}" for path, item in document["paths"].items() for method in METHODS if method in item
    ]
    sections = page.split("\n### ")[1:]
    assert sorted(section.splitlines()[0] for section in sections) == sorted(operations)
    assert [section.splitlines()[0] for section in sections if "\n```sh\ncurl " not in section] == []


def test_a_page_tells_parameters_fields_answers_and_roles() -> None:
    page = endpoints_page(
        {
            "tags": [{"name": "cadets", "description": "Who is trained."}],
            "paths": {
                "/api/v1/cadets/{cadet_id}": {
                    "patch": {
                        "operationId": "cadets_change",
                        "summary": "Change a cadet",
                        "tags": ["cadets"],
                        "security": [{"bearer": []}],
                        "x-roles": ["admin"],
                        "parameters": [
                            {"name": "cadet_id", "in": "path", "required": True, "schema": {"type": "integer"}},
                            {"name": "If-Match", "in": "header", "required": True, "schema": {"type": "string"}},
                        ],
                        "requestBody": {
                            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Change"}}}
                        },
                        "responses": {"200": {"description": "Changed."}, "404": {"description": "No such | thing."}},
                    }
                }
            },
            "components": {
                "schemas": {
                    "Change": {
                        "type": "object",
                        "required": ["name"],
                        "properties": {
                            "name": {"type": "string", "maxLength": 64, "description": "Family name."},
                            "level": {"type": ["string", "null"], "enum": ["MS1", "MS2", None]},
                        },
                    }
                }
            },
        }
    )
    for line in (
        "## Cadets",
        "Who is trained.",
        "Who: administrators.",
        "| `If-Match` | header, required | string |  |",
        "| `name` | string (at most 64) | Family name. |",
        "| `level` *optional* | one of `MS1`, `MS2`, `null` |  |",
        "| 200 | Changed. |",
        "| 404 | No such \\| thing. |",
        """  -d '{"name": "…"}'""",
    ):
        assert line in page.splitlines(), page
