from django.db.models import QuerySet

from annotation.models import Project
from training.models import Checkpoint


def checkpoint_list(project: Project) -> QuerySet[Checkpoint]:
    """The project's own checkpoints, newest first; no query per row."""
    return (
        Checkpoint.objects.filter(project=project)
        .select_related("run__round", "run__snapshot")
        .prefetch_related("run__run_parents__checkpoint", "deployments")
        .order_by("-pk")
    )
