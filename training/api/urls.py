from django.urls import path

from training.api import lineage, views

app_name = "training-api"

urlpatterns = [
    path("projects/<slug:slug>/loop/", views.LoopApi.as_view(), name="loop"),
    path("projects/<slug:slug>/rounds/", views.RoundListApi.as_view(), name="rounds"),
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
    path("rounds/<int:round_id>/", views.RoundDetailApi.as_view(), name="round"),
    path("rounds/<int:round_id>/cancel/", views.RoundCancelApi.as_view(), name="round-cancel"),
    path("rounds/<int:round_id>/retry/", views.RoundRetryApi.as_view(), name="round-retry"),
    path("runs/<int:run_id>/", views.RunDetailApi.as_view(), name="run"),
    path("runs/<int:run_id>/metrics/", views.RunMetricsApi.as_view(), name="run-metrics"),
    path("runs/<int:run_id>/cancel/", views.RunCancelApi.as_view(), name="run-cancel"),
    path("runs/<int:run_id>/retry/", views.RunRetryApi.as_view(), name="run-retry"),
]
