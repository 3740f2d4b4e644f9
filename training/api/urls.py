from django.urls import path

from training.api import ai_feedback, contributions, lineage, rounds, turns, views

app_name = "training-api"

urlpatterns = [
    path(
        "projects/<slug:slug>/ai-labelers/",
        ai_feedback.AILabelerListApi.as_view(),
        name="ai-labelers",
    ),
    path(
        "projects/<slug:slug>/ai-labelers/<int:labeler_id>/",
        ai_feedback.AILabelerDetailApi.as_view(),
        name="ai-labeler",
    ),
    path(
        "projects/<slug:slug>/ai-labelers/<int:labeler_id>/runs/",
        ai_feedback.FeedbackStartApi.as_view(),
        name="ai-labeler-runs",
    ),
    path("projects/<slug:slug>/loop/", views.LoopApi.as_view(), name="loop"),
    path("projects/<slug:slug>/loop/preset/", views.LoopPresetApi.as_view(), name="loop-preset"),
    path("projects/<slug:slug>/rounds/", rounds.RoundListApi.as_view(), name="rounds"),
    path("projects/<slug:slug>/deployments/", rounds.DeploymentsApi.as_view(), name="deployments"),
    path("projects/<slug:slug>/rollback/", rounds.RollbackApi.as_view(), name="rollback"),
    path("projects/<slug:slug>/runs/", views.RunListApi.as_view(), name="runs"),
    path(
        "projects/<slug:slug>/checkpoints/", views.CheckpointListApi.as_view(), name="checkpoints"
    ),
    path(
        "projects/<slug:slug>/completions/<int:completion_id>/origin",
        views.CompletionOriginApi.as_view(),
        name="completion-origin",
    ),
    path(
        "projects/<slug:slug>/checkpoints/<int:checkpoint_id>/ancestry/",
        lineage.CheckpointAncestryApi.as_view(),
        name="checkpoint-ancestry",
    ),
    path(
        "projects/<slug:slug>/my-contributions/",
        contributions.MyContributionsApi.as_view(),
        name="my-contributions",
    ),
    path("projects/<slug:slug>/me/lineage/", lineage.MyLineageApi.as_view(), name="my-lineage"),
    path(
        "projects/<slug:slug>/members/<int:user_id>/lineage/",
        lineage.MemberLineageApi.as_view(),
        name="member-lineage",
    ),
    path(
        "projects/<slug:slug>/members/<int:user_id>/exclude/",
        lineage.MemberExcludeApi.as_view(),
        name="member-exclude",
    ),
    path(
        "projects/<slug:slug>/members/<int:user_id>/readmit/",
        lineage.MemberReadmitApi.as_view(),
        name="member-readmit",
    ),
    path("rounds/<int:round_id>/", rounds.RoundDetailApi.as_view(), name="round"),
    path("rounds/<int:round_id>/pause/", rounds.RoundPauseApi.as_view(), name="round-pause"),
    path("rounds/<int:round_id>/resume/", rounds.RoundResumeApi.as_view(), name="round-resume"),
    path("rounds/<int:round_id>/cancel/", rounds.RoundCancelApi.as_view(), name="round-cancel"),
    path("rounds/<int:round_id>/retry/", rounds.RoundRetryApi.as_view(), name="round-retry"),
    path("rounds/<int:round_id>/approve/", rounds.RoundApproveApi.as_view(), name="round-approve"),
    path("rounds/<int:round_id>/reject/", rounds.RoundRejectApi.as_view(), name="round-reject"),
    path(
        "rounds/<int:round_id>/overoptimization/",
        rounds.RoundOveroptimizationApi.as_view(),
        name="round-overoptimization",
    ),
    path("runs/<int:run_id>/", views.RunDetailApi.as_view(), name="run"),
    path("runs/<int:run_id>/metrics/", views.RunMetricsApi.as_view(), name="run-metrics"),
    path("runs/<int:run_id>/cancel/", views.RunCancelApi.as_view(), name="run-cancel"),
    path("runs/<int:run_id>/retry/", views.RunRetryApi.as_view(), name="run-retry"),
    path("assignments/<int:assignment_id>/turns/", turns.TurnListApi.as_view(), name="turns"),
    path(
        "assignments/<int:assignment_id>/turns/<int:turn_id>/again/",
        turns.TurnAgainApi.as_view(),
        name="turn-again",
    ),
    path(
        "assignments/<int:assignment_id>/turns/<int:turn_id>/suggest/",
        turns.TurnSuggestApi.as_view(),
        name="turn-suggest",
    ),
    path(
        "assignments/<int:assignment_id>/turns/<int:turn_id>/choice/",
        turns.TurnChoiceApi.as_view(),
        name="turn-choice",
    ),
    path(
        "assignments/<int:assignment_id>/draft-reply/",
        turns.DraftReplyApi.as_view(),
        name="draft-reply",
    ),
]
