"""Generated requests against the WSGI application: no 500, nothing the schema does not document."""

import json

import pytest
import schemathesis
from django.core.signals import request_finished, request_started
from django.core.wsgi import get_wsgi_application
from django.db import close_old_connections
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.renderers import OpenApiJsonRenderer
from hypothesis import HealthCheck, Phase, settings
from schemathesis import GenerationMode, checks
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from annotation.services.tokens import token_create
from tests.factories import (
    claim_make,
    demonstration_make,
    demonstration_task_make,
    ranking_make,
    ranking_task_make,
    thumb_make,
)

# The checks read no compressed answers.
PLAIN = {"Accept-Encoding": "identity"}
CHECKS = [
    checks.not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]


@pytest.fixture(autouse=True)
def _one_connection():
    """As in Django's test client: the test's transaction outlives each request."""
    signals = (request_started, request_finished)
    for signal in signals:
        signal.disconnect(close_old_connections)
    yield
    for signal in signals:
        signal.connect(close_old_connections)


@pytest.fixture
def known(project, alice):
    """Rows that exist, so that requests get past "not found"; and Alice's key."""
    alice.is_staff = True
    alice.save()
    ranking_make(project, alice)
    demonstration_make(project, alice)
    thumb_make(project, alice)
    for _ in range(3):
        ranking_task_make(project)
        demonstration_task_make(project)
    assignment = claim_make(project, alice)
    _, text = token_create(user=alice, name="fuzz")
    victim, _ = token_create(user=alice, name="to be revoked")
    return {
        "headers": {"Authorization": f"Bearer {text}", **PLAIN},
        "path": {
            "slug": project.slug,
            "assignment_id": assignment.pk,
            "token_id": victim.pk,
        },
    }


schemathesis.serializer.alias("application/x-ndjson", "text/plain")
schema = schemathesis.openapi.from_dict(
    json.loads(
        OpenApiJsonRenderer().render(
            SchemaGenerator(urlconf="tests.annotation.urls").get_schema(public=True)
        )
    )
)
schema.app = get_wsgi_application()
schema.config.generation.update(modes=[GenerationMode.POSITIVE, GenerationMode.NEGATIVE])


@schema.exclude(path_regex="schema").parametrize()
@settings(
    max_examples=6,
    deadline=None,
    derandomize=True,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
def test_no_request_is_answered_by_surprise(case, known):
    case.call_and_validate(headers=known["headers"], checks=CHECKS)
    case.path_parameters = {
        name: known["path"].get(name, value) for name, value in (case.path_parameters or {}).items()
    }
    case.call_and_validate(headers=known["headers"], checks=CHECKS)
    case.call_and_validate(headers={"Authorization": "Bearer wrong", **PLAIN}, checks=CHECKS)
