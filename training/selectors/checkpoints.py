from django.db.models import BooleanField, Case, QuerySet, Value, When

from annotation.models import Project
from training.models import Checkpoint
from training.selectors.lineage import checkpoints_affected


def checkpoint_list(project: Project) -> QuerySet[Checkpoint]:
    """The project's own checkpoints, newest first; no query per row.

    `affected` on each: it learned from somebody who is excluded now.
    """
    is_affected = Case(
        When(pk__in=checkpoints_affected(project), then=Value(True)),
        default=Value(False),
        output_field=BooleanField(),
    )
    return (
        Checkpoint.objects.filter(project=project)
        .select_related("run__round", "run__snapshot")
        .prefetch_related("run__run_parents__checkpoint", "deployments")
        .annotate(affected=is_affected)
        .order_by("-pk")
    )
