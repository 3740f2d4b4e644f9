from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from annotation.api.base import ApiView
from annotation.api.brief_serializers import ConsentSerializer
from annotation.api.schema import responses
from annotation.services.consents import consent_give, consent_withdraw


class ConsentApi(ApiView):
    """Your own agreement to work that warns about its content."""

    @extend_schema(request=None, responses=responses({200: ConsentSerializer}, 400, 404))
    def post(self, request: Request, slug: str, kind: str) -> Response:
        """Agree to the kind's warning; doing so again changes nothing."""
        consent = consent_give(project=self.project(slug), user=self.user, kind=kind)
        return Response(ConsentSerializer(consent).data)

    @extend_schema(request=None, responses=responses({204: None}, 400, 404))
    def delete(self, request: Request, slug: str, kind: str) -> Response:
        """Take the agreement back; what you hold of the kind is given back, drafts are kept."""
        consent_withdraw(project=self.project(slug), user=self.user, kind=kind)
        return Response(status=204)
