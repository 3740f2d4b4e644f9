import hashlib
import secrets
from datetime import datetime, timedelta

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from annotation.errors import InvalidInput, NotFound
from annotation.models import ApiToken
from annotation.services.audit import audit_record
from annotation.services.saving import save_changed, save_new

PREFIX = "pf_"
PREFIX_CHARACTERS = 9
USE_RESOLUTION = timedelta(minutes=1)


@transaction.atomic
def token_create(
    *, user: User, name: str, expires_at: datetime | None = None
) -> tuple[ApiToken, str]:
    """Makes a token; the second value is its clear text, which cannot be had again.

    Raises InvalidInput when ``expires_at`` has passed.
    """
    if expires_at is not None and expires_at <= timezone.now():
        raise InvalidInput(
            f"The token would have expired at {expires_at:%Y-%m-%d %H:%M}; choose a later time.",
            fields={"expires_at": ["Must be in the future."]},
        )
    text = PREFIX + secrets.token_urlsafe(32)
    token = save_new(
        ApiToken(
            user=user,
            name=name,
            prefix=text[:PREFIX_CHARACTERS],
            digest=_digest(text),
            expires_at=expires_at,
        )
    )
    audit_record(actor=user, verb="token:created", target=token, name=name)
    return token, text


@transaction.atomic
def token_revoke(*, user: User, token_id: int) -> ApiToken:
    """Ends the user's own token; revoking twice is no error. Raises NotFound."""
    token = ApiToken.objects.select_for_update().filter(pk=token_id, user=user).first()
    if token is None:
        raise NotFound(f"You have no API token {token_id}.")
    if token.revoked_at is None:
        save_changed(token, revoked_at=timezone.now())
        audit_record(actor=user, verb="token:revoked", target=token, name=token.name)
    return token


def token_authenticate(text: str) -> ApiToken | None:
    """The usable token with this clear text, of an active user; notes its use once a minute."""
    if not text.startswith(PREFIX):
        return None
    token = ApiToken.objects.select_related("user").filter(digest=_digest(text)).first()
    now = timezone.now()
    if token is None or not token.is_usable(now) or not token.user.is_active:
        return None
    if token.last_used_at is None or token.last_used_at <= now - USE_RESOLUTION:
        _note_use(token, now)
    return token


def _note_use(token: ApiToken, now: datetime) -> None:
    stale = Q(last_used_at__isnull=True) | Q(last_used_at__lte=now - USE_RESOLUTION)
    ApiToken.objects.filter(stale, pk=token.pk).update(last_used_at=now)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
