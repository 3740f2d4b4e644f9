"""The Django admin for people who run the instance: everything to look at, little to change."""

from typing import Any

from django.contrib import admin
from django.db.models import Model
from django.http import HttpRequest

from training.models import (
    Checkpoint,
    Deployment,
    FeedbackRun,
    LoopSettings,
    Metric,
    ReplyRequest,
    Round,
    Run,
    RunParent,
    Sample,
    Snapshot,
)


class ReadOnlyAdmin(admin.ModelAdmin):
    """Rows that only workers write: a hand-made change would break what they promise."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class RunParentInline(admin.TabularInline):
    model = RunParent
    extra = 0
    can_delete = False

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(LoopSettings)
class LoopSettingsAdmin(admin.ModelAdmin):
    list_display = ("project", "rankings_per_round", "policy_method", "strategy", "auto_start")
    list_select_related = ("project",)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(Round)
class RoundAdmin(ReadOnlyAdmin):
    list_display = ("project", "number", "status", "step", "trigger", "started_at", "finished_at")
    list_filter = ("status", "project")
    list_select_related = ("project",)


@admin.register(Run)
class RunAdmin(ReadOnlyAdmin):
    list_display = ("id", "project", "round", "method", "status", "attempt", "started_at")
    list_filter = ("status", "method", "project")
    list_select_related = ("project", "round")
    inlines = (RunParentInline,)


@admin.register(Checkpoint)
class CheckpointAdmin(ReadOnlyAdmin):
    list_display = ("name", "kind", "project", "path", "created_at")
    list_filter = ("kind", "project")
    list_select_related = ("project",)


@admin.register(Deployment)
class DeploymentAdmin(ReadOnlyAdmin):
    list_display = ("project", "checkpoint", "activated_at", "retired_at")
    list_select_related = ("project", "checkpoint")


@admin.register(Snapshot)
class SnapshotAdmin(ReadOnlyAdmin):
    list_display = ("hash", "project", "manifest", "created_at")
    list_select_related = ("project",)
    exclude = ("assignments",)


@admin.register(Metric)
class MetricAdmin(ReadOnlyAdmin):
    list_display = ("run", "name", "step", "value")
    list_select_related = ("run",)
    search_fields = ("name",)
    show_full_result_count = False


@admin.register(FeedbackRun)
class FeedbackRunAdmin(ReadOnlyAdmin):
    list_display = ("run", "ai_labeler", "purpose", "created_at")
    list_filter = ("purpose",)
    list_select_related = ("run", "ai_labeler")


@admin.register(ReplyRequest)
class ReplyRequestAdmin(ReadOnlyAdmin):
    """Here is the whole of the error of which the person at work got one sentence."""

    list_display = ("id", "assignment", "status", "num_replies", "created_at", "finished_at")
    list_filter = ("status",)
    list_select_related = ("assignment",)
    show_full_result_count = False


@admin.register(Sample)
class SampleAdmin(ReadOnlyAdmin):
    list_display = (
        "run",
        "reply_request",
        "index",
        "checkpoint",
        "purpose",
        "num_tokens",
        "finished",
    )
    list_filter = ("purpose",)
    list_select_related = ("run", "reply_request", "checkpoint")
    raw_id_fields = ("completion",)
    show_full_result_count = False
