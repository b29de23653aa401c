import pytest
from documented import Caller

from wa_admin.api.document import document
from wa_admin.services import api_keys


@pytest.fixture
def described(app):
    return document()


@pytest.fixture
def api(client, described):
    """An app with a key; each of its calls is held against the OpenAPI document."""
    _, key = api_keys.issue(1, "orders-api", actor="cli")
    return Caller(client, described, key)
