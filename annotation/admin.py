"""Django's admin: people and settings can be edited (and are audited), history can only be read."""

from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import JSONField, Model
from django.forms.fields import InvalidJSONInput
from django.http import HttpRequest

from annotation.errors import DomainError
from annotation.models import (
    AIJudgement,
    AILabeler,
    AIRevision,
    ApiToken,
    Assignment,
    AuditEvent,
    Brief,
    ComparisonDimension,
    Completion,
    CompletionRating,
    Consent,
    Conversation,
    Demonstration,
    EvidenceMark,
    Exclusion,
    FlagSchema,
    GuidelinesVersion,
    Membership,
    Principle,
    PrincipleVersion,
    Project,
    Prompt,
    Ranking,
    RankingItem,
    Report,
    Task,
    TaskCompletion,
    Thumb,
    Turn,
    WrittenPrompt,
)
from annotation.services.audit import audit_record
from annotation.services.leases import assignments_withdraw
from annotation.services.projects import project_create, project_fields_check, project_update


class AuditedAdmin(admin.ModelAdmin):
    """Edits by hand leave the same trace as edits by service."""

    def save_model(
        self, request: HttpRequest, obj: Model, form: forms.ModelForm, change: bool
    ) -> None:
        super().save_model(request, obj, form, change)
        self._audit(request, obj, "changed" if change else "added", fields=form.changed_data)

    def delete_model(self, request: HttpRequest, obj: Model) -> None:
        self._audit(request, obj, "deleted")
        super().delete_model(request, obj)

    def delete_queryset(self, request: HttpRequest, queryset: Any) -> None:
        for obj in queryset:
            self.delete_model(request, obj)

    def _audit(self, request: HttpRequest, obj: Model, verb: str, **data: Any) -> None:
        audit_record(
            actor=request.user,  # type: ignore[arg-type]
            verb=f"{obj._meta.model_name}:{verb}",
            target=obj,
            via="admin",
            **data,
        )


class HistoryAdmin(admin.ModelAdmin):
    """What happened is shown and never edited."""

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class ReadOnlyInline(admin.TabularInline):
    extra = 0
    can_delete = False

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class JSONAsTyped(forms.JSONField):
    """Shown again as it was typed: decoded, a refused value may hold what no page can say."""

    def bound_data(self, data: Any, initial: Any) -> Any:
        return None if data is None else InvalidJSONInput(data)


class ProjectForm(forms.ModelForm):
    def clean_kinds(self) -> Any:
        return self._checked("kinds", self.cleaned_data["kinds"])

    def clean_targets(self) -> Any:
        return self._checked("targets", self.cleaned_data["targets"] or {})

    def clean_options(self) -> Any:
        return self._checked("options", self.cleaned_data["options"] or {})

    def _checked(self, name: str, value: Any) -> Any:
        try:
            project_fields_check({name: value})
        except DomainError as error:
            raise forms.ValidationError(error.message) from error
        return value


@admin.register(Project)
class ProjectAdmin(admin.ModelAdmin):
    form = ProjectForm
    formfield_overrides = {JSONField: {"form_class": JSONAsTyped}}
    list_display = ("slug", "name", "is_active", "created_at")
    search_fields = ("slug", "name")

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return () if obj is None else ("slug",)

    def save_model(
        self, request: HttpRequest, obj: Project, form: forms.ModelForm, change: bool
    ) -> None:
        actor: Any = request.user
        if change:
            fields = {name: form.cleaned_data[name] for name in form.changed_data}
            project_update(actor=actor, project=Project.objects.get(pk=obj.pk), **fields)
        else:
            obj.pk = project_create(actor=actor, **form.cleaned_data).pk

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(Membership)
class MembershipAdmin(AuditedAdmin):
    list_display = ("project", "user", "role", "created_at")
    list_filter = ("role", "project")
    list_select_related = ("project", "user")
    autocomplete_fields = ("project", "user")

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return () if obj is None else ("project", "user")

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        super().delete_model(request, obj)
        assignments_withdraw(project=obj.project, annotator=obj.user)


@admin.register(Prompt)
class PromptAdmin(AuditedAdmin):
    list_display = ("id", "project", "__str__", "external_id", "is_active", "created_at")
    list_filter = ("is_active", "project")
    list_select_related = ("project",)
    search_fields = ("external_id",)
    readonly_fields = ("project", "messages", "content_hash", "external_id", "created_at")

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(Completion)
class CompletionAdmin(HistoryAdmin):
    list_display = ("id", "prompt_id", "origin", "author", "__str__", "created_at")
    list_filter = ("origin",)
    list_select_related = ("author",)
    search_fields = ("text",)


class TaskCompletionInline(ReadOnlyInline):
    model = TaskCompletion


@admin.register(Task)
class TaskAdmin(HistoryAdmin):
    list_display = ("id", "project", "kind", "status", "claims", "judgements_wanted", "strategy")
    list_filter = ("status", "kind", "project")
    list_select_related = ("project",)
    inlines = [TaskCompletionInline]


@admin.register(Assignment)
class AssignmentAdmin(HistoryAdmin):
    list_display = ("id", "task", "annotator", "status", "claimed_at", "lease_expires_at")
    list_filter = ("status", "task__kind", "task__project")
    list_select_related = ("task", "annotator")


@admin.register(Demonstration)
class DemonstrationAdmin(HistoryAdmin):
    list_display = ("id", "prompt_id", "annotator", "created_at")
    list_filter = ("prompt__project",)
    list_select_related = ("annotator",)


class RankingItemInline(ReadOnlyInline):
    model = RankingItem


class ComparisonDimensionInline(ReadOnlyInline):
    model = ComparisonDimension


class CompletionRatingInline(ReadOnlyInline):
    model = CompletionRating


@admin.register(Ranking)
class RankingAdmin(HistoryAdmin):
    list_display = ("id", "task_id", "annotator", "created_at")
    list_filter = ("task__project",)
    list_select_related = ("annotator",)
    inlines = [RankingItemInline, ComparisonDimensionInline, CompletionRatingInline]


@admin.register(Thumb)
class ThumbAdmin(HistoryAdmin):
    list_display = ("id", "task_id", "annotator", "is_up", "created_at")
    list_filter = ("is_up", "task__project")
    list_select_related = ("annotator",)


@admin.register(Exclusion)
class ExclusionAdmin(HistoryAdmin):
    list_display = ("project", "user", "reason", "created_at", "lifted_at")
    list_filter = ("project",)
    list_select_related = ("project", "user")


class PrincipleVersionInline(ReadOnlyInline):
    model = PrincipleVersion


@admin.register(Principle)
class PrincipleAdmin(HistoryAdmin):
    list_display = ("id", "project", "name", "position", "is_active")
    list_filter = ("project",)
    list_select_related = ("project",)
    inlines = [PrincipleVersionInline]


@admin.register(PrincipleVersion)
class PrincipleVersionAdmin(HistoryAdmin):
    list_display = ("id", "principle", "number", "author", "created_at")
    list_filter = ("principle__project",)
    list_select_related = ("principle", "author")


@admin.register(AILabeler)
class AILabelerAdmin(HistoryAdmin):
    list_display = ("name", "project", "kind", "is_active", "counts", "min_agreement", "weight")
    list_filter = ("project",)
    list_select_related = ("project",)


@admin.register(AIJudgement)
class AIJudgementAdmin(HistoryAdmin):
    list_display = ("id", "ai_labeler", "prompt_id", "probability", "order_gap", "run_id")
    list_filter = ("ai_labeler",)
    list_select_related = ("ai_labeler",)


@admin.register(AIRevision)
class AIRevisionAdmin(HistoryAdmin):
    list_display = ("id", "ai_labeler", "prompt_id", "status", "decided_by", "created_at")
    list_filter = ("status", "ai_labeler")
    list_select_related = ("ai_labeler", "decided_by")


@admin.register(Brief)
class BriefAdmin(HistoryAdmin):
    list_display = ("project", "kind", "name", "version", "is_active", "created_at")
    list_filter = ("kind", "project")
    list_select_related = ("project",)


@admin.register(GuidelinesVersion)
class GuidelinesVersionAdmin(HistoryAdmin):
    list_display = ("project", "number", "author", "created_at")
    list_filter = ("project",)
    list_select_related = ("project", "author")


@admin.register(FlagSchema)
class FlagSchemaAdmin(HistoryAdmin):
    list_display = ("project", "version", "author", "created_at")
    list_filter = ("project",)
    list_select_related = ("project", "author")


@admin.register(WrittenPrompt)
class WrittenPromptAdmin(HistoryAdmin):
    list_display = ("id", "prompt_id", "form", "annotator", "created_at")
    list_filter = ("form", "prompt__project")
    list_select_related = ("annotator",)


@admin.register(EvidenceMark)
class EvidenceMarkAdmin(HistoryAdmin):
    list_display = ("id", "task_id", "annotator", "is_supported", "created_at")
    list_filter = ("is_supported", "task__project")
    list_select_related = ("annotator",)


@admin.register(Conversation)
class ConversationAdmin(HistoryAdmin):
    list_display = ("id", "assignment_id", "annotator", "attack_success", "rule_verdict")
    list_filter = ("assignment__task__project",)
    list_select_related = ("annotator",)


@admin.register(Report)
class ReportAdmin(HistoryAdmin):
    list_display = ("id", "project", "kind", "reporter", "created_at", "resolved_at")
    list_filter = ("kind", "project")
    list_select_related = ("project", "reporter")


@admin.register(Consent)
class ConsentAdmin(HistoryAdmin):
    list_display = ("project", "user", "kind", "created_at", "withdrawn_at")
    list_filter = ("project", "kind")
    list_select_related = ("project", "user")


for history in (ComparisonDimension, CompletionRating, Turn):
    admin.site.register(history, HistoryAdmin)


@admin.register(ApiToken)
class ApiTokenAdmin(HistoryAdmin):
    list_display = ("prefix", "name", "user", "expires_at", "revoked_at", "last_used_at")
    list_select_related = ("user",)
    exclude = ("digest",)


@admin.register(AuditEvent)
class AuditEventAdmin(HistoryAdmin):
    list_display = ("created_at", "actor", "verb", "project", "object_type", "object_id")
    list_filter = ("verb", "project")
    list_select_related = ("actor", "project")
    date_hierarchy = "created_at"
