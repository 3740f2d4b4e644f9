"""Which prompts models may be asked."""

from datetime import timedelta

from django.db.models import Exists, OuterRef, QuerySet
from django.utils import timezone

from annotation.choices import PromptSource
from annotation.models import Project, Prompt, WrittenPrompt
from annotation.selectors.exclusions import excluded_ids


def prompts_askable(project: Project) -> QuerySet[Prompt]:
    """Active prompts that models may answer and learn on.

    Not what an excluded labeler wrote, nor what its writer can still take back: that would be gone
    under a run.
    """
    since = timezone.now() - timedelta(minutes=project.undo_minutes)
    retractable = WrittenPrompt.objects.filter(
        prompt=OuterRef("pk"),
        assignment__frozen_at__isnull=True,
        assignment__finished_at__gte=since,
    )
    return (
        Prompt.objects.filter(project=project, is_active=True)
        .exclude(Exists(retractable), source=PromptSource.WRITTEN)
        .exclude(source=PromptSource.WRITTEN, author__in=excluded_ids(project))
    )
