import ast

from jsonschema import Draft202012Validator
from markup import read
from openapi_spec_validator import validate

from wa_admin.api import schemas
from wa_admin.api.errors import CATALOGUE
from wa_admin.api.operation import Operation

HOLES = ("<path:id>", "<int:id>")


def operations(described):
    for path, methods in described["paths"].items():
        for method, told in methods.items():
            if "tags" in told:
                yield method, path, told


def pointed_at(described, reference):
    return described["components"]["examples"][reference["$ref"].rpartition("/")[2]]["value"]


def test_the_document_is_valid(client):
    validate(client.get("/api/openapi.json").get_json())


def test_every_route_below_api_is_in_it(app, described):
    served = set()
    for rule in app.url_map.iter_rules():
        if rule.rule.startswith("/api/"):
            path = rule.rule
            for hole in HOLES:
                path = path.replace(hole, "{id}")
            served |= {(path, method.lower()) for method in rule.methods - {"HEAD", "OPTIONS"}}
    written = {(path, method) for path, methods in described["paths"].items() for method in methods}
    assert served == written


def test_every_call_declares_what_it_is(app):
    views = {rule.endpoint for rule in app.url_map.iter_rules() if rule.endpoint.startswith("api_")}
    assert all(isinstance(app.view_functions[one].operation, Operation) for one in views)


def test_an_example_of_a_call_can_be_sent(described):
    bodies = [told["requestBody"] for _, _, told in operations(described) if "requestBody" in told]
    assert len(bodies) >= 6
    for body in bodies:
        media = body["content"]["application/json"]
        name = media["schema"]["$ref"].rpartition("/")[2]
        assert schemas.load(name, media["example"])


def test_an_example_of_an_answer_fits_its_schema(described):
    for _, _, told in operations(described):
        for answer in told["responses"].values():
            media = answer["content"]["application/json"]
            schema = {**media["schema"], "components": described["components"]}
            examples = [media["example"]] if "example" in media else []
            examples += [pointed_at(described, one) for one in media.get("examples", {}).values()]
            for example in examples:
                Draft202012Validator(schema).validate(example)


def test_every_code_of_the_catalogue_has_a_status_and_a_meaning():
    assert all(400 <= known.status < 600 and str(known.meaning) for known in CATALOGUE.values())


def test_the_document_names_the_key_and_the_cookie(described):
    assert described["components"]["securitySchemes"]["bearer"]["scheme"] == "bearer"
    assert described["security"] == [{"bearer": []}, {"cookie": []}]


def test_the_docs_page_shows_every_call(client, described):
    page = read(client.get("/api/docs").text)
    shown = [f"{one.one('b').text} {one.one('code').text}" for one in page.all("p", class_="docs-address")]
    assert sorted(shown) == sorted(f"{method.upper()} {path}" for method, path, _ in operations(described))


def test_the_docs_page_needs_no_other_site(client):
    page = read(client.get("/api/docs").text)
    addresses = [one["src"] for one in page.all("script")] + [one["href"] for one in page.all("link")]
    assert addresses and all(address.startswith("/") for address in addresses)


def test_the_python_examples_are_python(client):
    page = read(client.get("/api/docs").text)
    regions = [one for one in page.all("pre") if one["aria-label"].startswith("Python")]
    assert len(regions) >= 20
    for one in regions:
        ast.parse("".join(part for part in one.one("code").parts))


def test_curl_is_given_the_address_of_the_panel(make_app):
    app = make_app(WA_PUBLIC_URL="https://wa.example.com")
    page = read(app.test_client().get("/api/docs", base_url="https://wa.example.com").text)
    commands = [one.text for one in page.all("pre") if one["aria-label"].startswith("curl")]
    assert commands and all("https://wa.example.com/api/" in command for command in commands)
