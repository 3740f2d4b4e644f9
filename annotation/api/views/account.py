from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from annotation.api.base import ApiView, ListApi
from annotation.api.schema import responses
from annotation.api.serializers import (
    MeSerializer,
    TokenCreatedSerializer,
    TokenInputSerializer,
    TokenSerializer,
)
from annotation.models import ApiToken
from annotation.selectors.account import me_get
from annotation.services.tokens import token_create, token_revoke


class MeApi(ApiView):
    @extend_schema(responses=responses({200: MeSerializer}))
    def get(self, request: Request) -> Response:
        """Who you are, and your role in each of your projects."""
        return Response(MeSerializer(me_get(self.user)).data)


class TokenListApi(ListApi):
    """Your API tokens, without their clear text."""

    serializer_class = TokenSerializer
    empty = ApiToken.objects.none()

    def rows(self) -> QuerySet[ApiToken]:
        return ApiToken.objects.filter(user=self.user)

    @extend_schema(responses=responses({200: TokenSerializer(many=True)}, 404))
    def get(self, request: Request) -> Response:
        return self.list(request)

    @extend_schema(
        request=TokenInputSerializer,
        responses=responses({201: TokenCreatedSerializer}, 400, 413),
    )
    def post(self, request: Request) -> Response:
        """Make a token for yourself. Its clear text is in this answer only."""
        token, text = token_create(user=self.user, **self.input(TokenInputSerializer))
        return Response({**TokenSerializer(token).data, "token": text}, status=201)


class TokenDetailApi(ApiView):
    @extend_schema(responses=responses({204: None}, 404))
    def delete(self, request: Request, token_id: int) -> Response:
        """Revoke one of your tokens."""
        token_revoke(user=self.user, token_id=token_id)
        return Response(status=204)
