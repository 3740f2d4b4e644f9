from django.urls import path

from annotation.api.views import (
    account,
    ai_feedback,
    assignments,
    briefs,
    consents,
    flag_schemas,
    judgements,
    projects,
    prompts,
    reports,
    statistics,
)
from annotation.judgements import kind_list

app_name = "annotation-api"

urlpatterns = [
    path("me/", account.MeApi.as_view(), name="me"),
    path("tokens/", account.TokenListApi.as_view(), name="tokens"),
    path("tokens/<int:token_id>/", account.TokenDetailApi.as_view(), name="token"),
    path("projects/", projects.ProjectListApi.as_view(), name="projects"),
    path("projects/<slug:slug>/", projects.ProjectDetailApi.as_view(), name="project"),
    path(
        "projects/<slug:slug>/memberships/",
        projects.MembershipListApi.as_view(),
        name="memberships",
    ),
    path("projects/<slug:slug>/prompts/", prompts.PromptListApi.as_view(), name="prompts"),
    path(
        "projects/<slug:slug>/prompts/import/",
        prompts.PromptImportApi.as_view(),
        name="prompts-import",
    ),
    path(
        "projects/<slug:slug>/principles/",
        ai_feedback.PrincipleListApi.as_view(),
        name="principles",
    ),
    path(
        "projects/<slug:slug>/principles/<int:principle_id>/",
        ai_feedback.PrincipleDetailApi.as_view(),
        name="principle",
    ),
    path(
        "projects/<slug:slug>/flag-schemas/",
        flag_schemas.FlagSchemaListApi.as_view(),
        name="flag-schemas",
    ),
    path(
        "projects/<slug:slug>/revisions/",
        ai_feedback.RevisionListApi.as_view(),
        name="revisions",
    ),
    path(
        "projects/<slug:slug>/revisions/<int:revision_id>/approve/",
        ai_feedback.RevisionApproveApi.as_view(),
        name="revision-approve",
    ),
    path(
        "projects/<slug:slug>/revisions/<int:revision_id>/refuse/",
        ai_feedback.RevisionRefuseApi.as_view(),
        name="revision-refuse",
    ),
    path("projects/<slug:slug>/briefs/", briefs.BriefListApi.as_view(), name="briefs"),
    path(
        "projects/<slug:slug>/briefs/<int:brief_id>/",
        briefs.BriefDetailApi.as_view(),
        name="brief",
    ),
    path(
        "projects/<slug:slug>/consents/<str:kind>/",
        consents.ConsentApi.as_view(),
        name="consent",
    ),
    path(
        "projects/<slug:slug>/my-statistics/",
        statistics.MyStatisticsApi.as_view(),
        name="my-statistics",
    ),
    path(
        "projects/<slug:slug>/assignments/claim/",
        assignments.AssignmentClaimApi.as_view(),
        name="assignment-claim",
    ),
    path(
        "assignments/<int:assignment_id>/",
        assignments.AssignmentDetailApi.as_view(),
        name="assignment",
    ),
    path(
        "assignments/<int:assignment_id>/submit/",
        assignments.AssignmentSubmitApi.as_view(),
        name="assignment-submit",
    ),
    path(
        "assignments/<int:assignment_id>/skip/",
        assignments.AssignmentSkipApi.as_view(),
        name="assignment-skip",
    ),
    path(
        "assignments/<int:assignment_id>/undo/",
        assignments.AssignmentUndoApi.as_view(),
        name="assignment-undo",
    ),
    path(
        "assignments/<int:assignment_id>/renew/",
        assignments.AssignmentRenewApi.as_view(),
        name="assignment-renew",
    ),
    path(
        "assignments/<int:assignment_id>/reports/",
        reports.ReportCreateApi.as_view(),
        name="assignment-reports",
    ),
    path("projects/<slug:slug>/reports/", reports.ReportListApi.as_view(), name="reports"),
    path(
        "projects/<slug:slug>/reports/<int:report_id>/resolve/",
        reports.ReportResolveApi.as_view(),
        name="report-resolve",
    ),
    path(
        "projects/<slug:slug>/guidelines/", reports.GuidelinesListApi.as_view(), name="guidelines"
    ),
    path(
        "assignments/<int:assignment_id>/draft/",
        assignments.AssignmentDraftApi.as_view(),
        name="assignment-draft",
    ),
    *(
        path(
            f"projects/<slug:slug>/{kind.plural}/",
            judgements.judgement_list_api(kind).as_view(),
            name=kind.plural,
        )
        for kind in kind_list()
    ),
]
