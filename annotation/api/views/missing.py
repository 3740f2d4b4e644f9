from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request

from annotation.api.base import ApiView
from annotation.errors import NotFound


@extend_schema(exclude=True)
class MissingApi(ApiView):
    """Every other address below /api/: programs get the error as JSON, not the site's page.

    Goes after all other API addresses in the site's URL configuration.
    """

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        raise NotFound(
            f"There is nothing at {request.path[:200]!r}. Addresses of the API end in a slash; "
            "/api/v1/docs/ lists them."
        )
