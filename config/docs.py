"""The API's own documentation page: served from this machine, without a network."""

from csp.constants import SELF
from csp.decorators import csp_update
from django.utils.decorators import method_decorator
from drf_spectacular.views import SpectacularSwaggerSplitView


@method_decorator(csp_update({"style-src": [SELF, "'unsafe-inline'"]}), name="dispatch")
class OfflineSwaggerView(SpectacularSwaggerSplitView):
    """Swagger UI styles itself inline; its scripts still come from this server only."""
