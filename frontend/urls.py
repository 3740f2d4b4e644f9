from django.contrib.auth.views import LogoutView
from django.urls import path
from django.views.i18n import set_language

from frontend.views import (
    account,
    ai_feedback,
    answers,
    briefs,
    consent,
    dashboard,
    deployments,
    flag_schemas,
    guidelines,
    languages,
    lineage,
    members,
    my_labels,
    prompts,
    reports,
    rounds,
    runs,
    settings,
)
from frontend.views import work as work_views

PROJECT = "projects/<slug:slug>/"

urlpatterns = [
    path("", work_views.work_page, name="work"),
    path("login/", account.SignIn.as_view(), name="login"),
    path("logout/", LogoutView.as_view(), name="logout"),
    path("language/", set_language, name="language"),
    path("catalog/<str:language>/<slug:version>.js", languages.catalog_page, name="catalog"),
    path("account/", account.account_page, name="account"),
    path("account/tokens/<int:token_id>/revoke/", account.token_end, name="token-revoke"),
    path("account/password/", account.PasswordChange.as_view(), name="password"),
    path(f"{PROJECT}my-labels/", my_labels.my_labels_page, name="my-labels"),
    path(f"{PROJECT}work/<slug:kind>/", work_views.judge_page, name="judge"),
    path(f"{PROJECT}work/<slug:kind>/agree/", consent.consent_accept, name="consent-accept"),
    path(f"{PROJECT}work/<slug:kind>/stop/", consent.consent_end, name="consent-end"),
    path(PROJECT, dashboard.dashboard_page, name="project"),
    path(f"{PROJECT}live/", dashboard.dashboard_live, name="project-live"),
    path(f"{PROJECT}rollback/", deployments.rollback, name="rollback"),
    path(f"{PROJECT}rounds/start/", rounds.round_begin, name="round-start"),
    path(f"{PROJECT}rounds/<int:number>/", rounds.round_page, name="round"),
    path(f"{PROJECT}rounds/<int:number>/live/", rounds.round_live, name="round-live"),
    path(f"{PROJECT}rounds/<int:number>/<slug:action>/", rounds.round_act, name="round-act"),
    path(f"{PROJECT}runs/<int:run_id>/", runs.run_page, name="run"),
    path(f"{PROJECT}runs/<int:run_id>/live/", runs.run_live, name="run-live"),
    path(f"{PROJECT}runs/<int:run_id>/curves/", runs.run_points, name="run-curves"),
    path(f"{PROJECT}runs/<int:run_id>/<slug:action>/", runs.run_act, name="run-act"),
    path(f"{PROJECT}checkpoints/", answers.checkpoints_page, name="checkpoints"),
    path(f"{PROJECT}answers/", answers.answers_page, name="answers"),
    path(f"{PROJECT}prompts/", prompts.prompts_page, name="prompts"),
    path(f"{PROJECT}ai-feedback/", ai_feedback.ai_feedback_page, name="ai-feedback"),
    path(f"{PROJECT}ai-feedback/principles/add/", ai_feedback.principle_add, name="principle-add"),
    path(
        f"{PROJECT}ai-feedback/principles/<int:principle_id>/",
        ai_feedback.principle_change,
        name="principle-change",
    ),
    path(f"{PROJECT}ai-feedback/labelers/add/", ai_feedback.ai_labeler_add, name="ai-labeler-add"),
    path(
        f"{PROJECT}ai-feedback/labelers/<int:labeler_id>/",
        ai_feedback.ai_labeler_change,
        name="ai-labeler-change",
    ),
    path(
        f"{PROJECT}ai-feedback/labelers/<int:labeler_id>/ask/",
        ai_feedback.ai_labeler_ask,
        name="ai-labeler-ask",
    ),
    path(
        f"{PROJECT}ai-feedback/revisions/<int:revision_id>/<slug:action>/",
        ai_feedback.revision_decide,
        name="revision-decide",
    ),
    path(f"{PROJECT}briefs/", briefs.briefs_page, name="briefs"),
    path(f"{PROJECT}briefs/add/", briefs.brief_add, name="brief-add"),
    path(f"{PROJECT}briefs/<int:brief_id>/", briefs.brief_change, name="brief-change"),
    path(
        f"{PROJECT}briefs/<int:brief_id>/<slug:action>/", briefs.brief_switch, name="brief-switch"
    ),
    path(f"{PROJECT}guidelines/", guidelines.guidelines_page, name="guidelines"),
    path(f"{PROJECT}flags/", flag_schemas.flags_page, name="flags"),
    path(f"{PROJECT}reports/", reports.reports_page, name="reports"),
    path(f"{PROJECT}reports/<int:report_id>/resolve/", reports.report_close, name="report-resolve"),
    path(f"{PROJECT}members/", members.members_page, name="members"),
    path(f"{PROJECT}members/<int:user_id>/remove/", members.member_end, name="member-remove"),
    path(
        f"{PROJECT}members/<int:user_id>/lineage/",
        lineage.member_lineage_page,
        name="member-lineage",
    ),
    path(
        f"{PROJECT}members/<int:user_id>/forget/", lineage.member_forget_page, name="member-forget"
    ),
    path(f"{PROJECT}members/<int:user_id>/readmit/", lineage.member_readmit, name="member-readmit"),
    path(
        f"{PROJECT}completions/<int:completion_id>/lineage/",
        lineage.completion_lineage_page,
        name="completion-lineage",
    ),
    path(f"{PROJECT}settings/preset/", settings.preset_choose, name="preset"),
    path(f"{PROJECT}settings/", settings.settings_page, name="project-settings"),
]
