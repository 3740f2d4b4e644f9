from typing import Any, ClassVar

from django.contrib.auth.models import User
from django.db.models import QuerySet
from rest_framework.generics import ListAPIView
from rest_framework.serializers import Serializer
from rest_framework.views import APIView

from annotation.api.pagination import Pages
from annotation.api.parsers import StrictJsonParser
from annotation.choices import Role
from annotation.models import Project
from annotation.selectors.access import project_get
from annotation.validation import serializer_validate


class ApiView(APIView):
    """What every view shares. Authentication, permission and throttles are in the settings."""

    parser_classes: Any = [StrictJsonParser]
    # OPTIONS would describe a project to people who may not see it.
    metadata_class = None

    @property
    def user(self) -> User:
        user = self.request.user
        assert isinstance(user, User), "IsAuthenticated lets nobody else through"
        return user

    def project(self, slug: str, role: Role = Role.LABELER) -> Project:
        return project_get(user=self.request.user, slug=slug, role=role)

    def input(self, serializer_class: type[Serializer]) -> dict[str, Any]:
        return serializer_validate(serializer_class, self.request.data)


class ListApi(ApiView, ListAPIView):
    """A paginated list of ``rows()``."""

    pagination_class = Pages
    empty: ClassVar[QuerySet[Any]]

    def rows(self) -> QuerySet[Any]:
        raise NotImplementedError

    def get_queryset(self) -> QuerySet[Any]:
        # The schema generator asks without a request.
        return self.empty if getattr(self, "swagger_fake_view", False) else self.rows()
