"""The API's documentation page: everything in the schema, as text, for everybody."""

import pytest
from django.contrib.auth.models import User
from django.test import Client
from drf_spectacular.generators import SchemaGenerator

from frontend.api_reference import Content, Field, Schema, Word, reference_read

DOCS = "/api/v1/docs/"
SCHEMA = {
    "paths": {
        "/ferns/{id}/": {
            "put": {
                "operationId": "ferns_update",
                "tags": ["ferns"],
                "description": "Water it. More is not better.",
                "parameters": [
                    {"in": "path", "name": "id", "required": True, "schema": {"type": "integer"}}
                ],
                "requestBody": {
                    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/A"}}}
                },
                "responses": {
                    "204": {"description": ""},
                    "404": {"content": {"application/json": {"schema": {"type": "string"}}}},
                },
            }
        }
    },
    "components": {
        "schemas": {
            "A": {
                "description": "A fern.",
                "required": ["leaves"],
                "properties": {
                    "leaves": {
                        "type": "array",
                        "items": {"allOf": [{"$ref": "#/components/schemas/B"}], "nullable": True},
                        "maxItems": 9,
                    },
                    "height": {"type": "number", "format": "double", "default": None},
                },
            },
            "B": {"enum": ["green", None], "description": "* `green` - Green"},
        }
    },
}


def test_an_operation_says_what_it_takes_and_gives() -> None:
    (operation,) = reference_read(SCHEMA).operations["ferns"]
    assert (operation.method, operation.path) == ("PUT", "/ferns/{id}/")
    assert operation.headline == "Water it"
    assert operation.parameters == [Field("id", [Word("integer")], "", True, place="path")]
    assert operation.bodies == [Content("", "application/json", [Word("A", schema="A")])]
    assert operation.answers == [Content("204", "", [])]
    assert operation.refusals == ["404"]


def test_a_schema_says_each_field_in_words() -> None:
    leaf = [
        Word("array of"),
        Word("B", schema="B"),
        Word("or null"),
        Word("(\N{LESS-THAN OR EQUAL TO} 9 items)"),
    ]
    height = [Word("number (double)"), Word("(default null)")]
    assert reference_read(SCHEMA).schemas == [
        Schema(
            "A",
            [],
            [Field("leaves", leaf, "", True), Field("height", height, "", False)],
            "A fern.",
        ),
        Schema("B", [Word('"green" | null')], [], ""),
    ]


@pytest.mark.django_db
def test_the_page_has_every_operation_and_leads_to_every_schema(alice: User) -> None:
    schema = SchemaGenerator().get_schema(request=None, public=True)
    client = Client()
    client.force_login(alice)
    html = client.get(DOCS).content.decode()
    names = [
        operation["operationId"] for path in schema["paths"].values() for operation in path.values()
    ]
    assert len(names) > 80
    assert [name for name in names if f'id="{name}"' not in html] == []
    parts = schema["components"]["schemas"]
    assert [name for name in parts if f'id="schema-{name}"' not in html] == []
    assert "/api/v1/projects/{slug}/rankings/" in html


@pytest.mark.django_db
def test_the_page_is_open_to_everybody_and_in_the_readers_language() -> None:
    answer = Client().get(DOCS, headers={"Accept-Language": "zh-hans"})
    assert answer.status_code == 200
    assert '<html lang="zh-hans"' in answer.content.decode()
    assert Client().post(DOCS).status_code == 405
