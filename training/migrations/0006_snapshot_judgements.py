from django.db import migrations
from django.utils import timezone

BATCH = 500


def judgements_move(apps, schema_editor):
    """What a snapshot holds is named by its assignments, whatever the kind of judgement."""
    Snapshot = apps.get_model("training", "Snapshot")
    held = Snapshot.assignments.through
    for field, judgement in (
        ("demonstrations", "demonstration"),
        ("rankings", "ranking"),
        ("thumbs", "thumb"),
    ):
        rows = getattr(Snapshot, field).through.objects.order_by("pk")
        pairs = rows.values_list("snapshot_id", f"{judgement}__assignment_id")
        held.objects.bulk_create(
            (
                held(snapshot_id=snapshot, assignment_id=assignment)
                for snapshot, assignment in pairs.iterator()
            ),
            batch_size=BATCH,
            ignore_conflicts=True,
        )
    # Training holds them, so they can no longer be taken back.
    apps.get_model("annotation", "Assignment").objects.filter(
        pk__in=held.objects.values("assignment"), frozen_at__isnull=True
    ).update(frozen_at=timezone.now())


class Migration(migrations.Migration):
    dependencies = [
        ("annotation", "0008_workbench_moved"),
        ("training", "0005_replies"),
    ]

    operations = [migrations.RunPython(judgements_move, migrations.RunPython.noop)]
