"""The words of the pages' scripts in the language of a page."""

import json
from functools import cache
from hashlib import sha256

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.utils.translation import override
from django.views.decorators.cache import cache_control
from django.views.decorators.http import require_safe
from django.views.i18n import JSONCatalog


@require_safe
@cache_control(public=True, immutable=True, max_age=365 * 24 * 3600)
def catalog_page(request: HttpRequest, language: str, version: str) -> HttpResponse:
    """Browsers keep it for good: other words have another version, so another address."""
    if language not in dict(settings.LANGUAGES):
        raise Http404(f"There is no language {language[:20]!r}.")
    return HttpResponse(catalog_script(language), content_type="text/javascript; charset=utf-8")


@cache
def catalog_script(language: str) -> str:
    """What components/i18n.ts looks up: each English text with its translation or its plurals."""
    with override(language):
        answer = JSONCatalog(packages=["frontend"]).get(HttpRequest())
    words = json.loads(answer.content)["catalog"]
    return f"globalThis.preferendumWords={json.dumps(words, ensure_ascii=False, sort_keys=True)};"


@cache
def catalog_version(language: str) -> str:
    return sha256(catalog_script(language).encode()).hexdigest()[:12]
