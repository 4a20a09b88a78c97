"""The OpenAPI document says what there is, and nothing else."""

import jsonschema
import orjson
import pytest

from event_store.http.openapi import SCHEMAS, document
from event_store.http.routes import ROUTES

DOCUMENT = orjson.loads(document())


def test_each_route_is_in_it_with_its_methods_and_parameters() -> None:
    assert DOCUMENT["paths"].keys() == ROUTES.keys()
    for path, route in ROUTES.items():
        assert DOCUMENT["paths"][path].keys() == {method.lower() for method in route.methods}
        for method, operation in DOCUMENT["paths"][path].items():
            if method == "post":
                content = operation["requestBody"]["content"]
                for form in content.values():
                    assert form["schema"]["properties"].keys() == {each.name for each in route.parameters}
                    assert form["schema"].get("required", []) == [
                        each.name for each in route.parameters if each.required
                    ]
            else:
                own = [(each.name, "query") for each in route.parameters]
                own += [(each.name, "header") for each in route.headers]
                assert [(each["name"], each["in"]) for each in operation["parameters"]] == own
            assert ("security" in operation) == route.is_open


def test_operations_have_names_of_their_own() -> None:
    names = [operation["operationId"] for path in DOCUMENT["paths"].values() for operation in path.values()]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("name", SCHEMAS)
def test_schemas_are_schemas(name: str) -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMAS[name])


def test_every_reference_leads_somewhere() -> None:
    text = document().decode()
    referred = {part.partition('"')[0] for part in text.split("#/components/schemas/")[1:]}
    assert referred <= SCHEMAS.keys()
