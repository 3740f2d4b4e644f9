import hashlib
import re
from datetime import timedelta

import pytest
from django.utils import timezone

from annotation.errors import InvalidInput, NotFound
from annotation.models import ApiToken, AuditEvent
from annotation.services.tokens import token_authenticate, token_create, token_revoke

pytestmark = pytest.mark.django_db


def test_only_the_hash_of_a_token_is_stored(alice):
    token, text = token_create(user=alice, name="laptop")
    assert re.fullmatch(r"pf_[A-Za-z0-9_-]{43}", text)
    token.refresh_from_db()
    assert token.digest == hashlib.sha256(text.encode()).hexdigest()
    assert text.startswith(token.prefix)
    assert len(token.prefix) == 9
    assert text not in str(AuditEvent.objects.get(verb="token:created").data)


def test_a_token_works_until_it_expires_or_is_revoked_or_its_user_is_disabled(alice):
    token, text = token_create(
        user=alice, name="laptop", expires_at=timezone.now() + timedelta(hours=1)
    )
    assert token_authenticate(text) == token
    ApiToken.objects.update(expires_at=timezone.now())
    assert token_authenticate(text) is None
    ApiToken.objects.update(expires_at=None)
    alice.is_active = False
    alice.save()
    assert token_authenticate(text) is None
    alice.is_active = True
    alice.save()
    assert token_authenticate(text) == token
    token_revoke(user=alice, token_id=token.pk)
    assert token_authenticate(text) is None


@pytest.mark.parametrize("text", ["", "pf_", "pf_wrong", "x" * 10_000, "pf_\x00", "pf_\udcff"])
def test_what_is_no_token_is_refused(alice, text):
    token_create(user=alice, name="laptop")
    assert token_authenticate(text) is None


def test_use_is_noted_once_a_minute(alice, django_assert_num_queries):
    token, text = token_create(user=alice, name="laptop")
    token_authenticate(text)
    token.refresh_from_db()
    first = token.last_used_at
    assert first is not None
    with django_assert_num_queries(1):
        token_authenticate(text)
    ApiToken.objects.update(last_used_at=first - timedelta(minutes=1))
    token_authenticate(text)
    token.refresh_from_db()
    assert token.last_used_at >= first


def test_only_the_owner_revokes_a_token(alice, charlie):
    token, _ = token_create(user=alice, name="laptop")
    with pytest.raises(NotFound):
        token_revoke(user=charlie, token_id=token.pk)
    token_revoke(user=alice, token_id=token.pk)
    token_revoke(user=alice, token_id=token.pk)
    assert AuditEvent.objects.filter(verb="token:revoked").count() == 1


def test_a_token_is_not_made_expired(alice):
    with pytest.raises(InvalidInput):
        token_create(user=alice, name="old", expires_at=timezone.now())
