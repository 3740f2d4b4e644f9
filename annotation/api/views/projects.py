from django.contrib.auth.models import User
from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from annotation.api.base import ApiView, ListApi
from annotation.api.schema import responses
from annotation.api.serializers import (
    MembershipInputSerializer,
    MembershipSerializer,
    ProjectCreateSerializer,
    ProjectSerializer,
    ProjectUpdateSerializer,
)
from annotation.choices import Role
from annotation.errors import NotFound
from annotation.models import Membership, Project
from annotation.selectors.access import project_list, staff_require
from annotation.services.projects import membership_set, project_create, project_update


class ProjectListApi(ListApi):
    """The projects you are a member of."""

    serializer_class = ProjectSerializer
    empty = Project.objects.none()

    def rows(self) -> QuerySet[Project]:
        return project_list(user=self.request.user)

    @extend_schema(responses=responses({200: ProjectSerializer(many=True)}, 404))
    def get(self, request: Request) -> Response:
        return self.list(request)

    @extend_schema(
        request=ProjectCreateSerializer,
        responses=responses({201: ProjectSerializer}, 400, 409, 413),
    )
    def post(self, request: Request) -> Response:
        """Make a project (staff only); you become its admin."""
        staff_require(request.user)
        project = project_create(actor=self.user, **self.input(ProjectCreateSerializer))
        return Response(ProjectSerializer(project).data, status=201)


class ProjectDetailApi(ApiView):
    @extend_schema(responses=responses({200: ProjectSerializer}, 404))
    def get(self, request: Request, slug: str) -> Response:
        """One project."""
        return Response(ProjectSerializer(self.project(slug)).data)

    @extend_schema(
        request=ProjectUpdateSerializer,
        responses=responses({200: ProjectSerializer}, 400, 404, 413),
    )
    def patch(self, request: Request, slug: str) -> Response:
        """Change the fields given (admins)."""
        project = self.project(slug, Role.ADMIN)
        fields = self.input(ProjectUpdateSerializer)
        project = project_update(actor=self.user, project=project, **fields)
        return Response(ProjectSerializer(project).data)


class MembershipListApi(ListApi):
    """The members (reviewers and admins)."""

    serializer_class = MembershipSerializer
    empty = Membership.objects.none()

    def rows(self) -> QuerySet[Membership]:
        project = self.project(self.kwargs["slug"], Role.REVIEWER)
        return Membership.objects.filter(project=project).select_related("user")

    @extend_schema(responses=responses({200: MembershipSerializer(many=True)}, 404))
    def get(self, request: Request, slug: str) -> Response:
        return self.list(request)

    @extend_schema(
        request=MembershipInputSerializer,
        responses=responses({200: MembershipSerializer}, 400, 404, 409, 413),
    )
    def post(self, request: Request, slug: str) -> Response:
        """Make a user a member, or change their role (admins)."""
        project = self.project(slug, Role.ADMIN)
        fields = self.input(MembershipInputSerializer)
        user = User.objects.filter(username=fields["username"], is_active=True).first()
        if user is None:
            raise NotFound(f"There is no active user {fields['username']!r} on this instance.")
        membership = membership_set(
            actor=self.user, project=project, user=user, role=fields["role"]
        )
        return Response(MembershipSerializer(membership).data)
