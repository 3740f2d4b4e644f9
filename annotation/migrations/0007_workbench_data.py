import hashlib

from django.db import migrations
from django.db.models import OuterRef, Subquery


def seconds_move(apps, schema_editor):
    """Seconds of attention belong to the assignment, whatever kind of judgement it led to."""
    Assignment = apps.get_model("annotation", "Assignment")
    for name in ("Ranking", "Thumb"):
        judgements = apps.get_model("annotation", name).objects
        seconds = judgements.filter(assignment=OuterRef("pk")).values("seconds_spent")[:1]
        Assignment.objects.filter(
            pk__in=judgements.filter(seconds_spent__isnull=False).values("assignment")
        ).update(seconds_spent=Subquery(seconds))


def guidelines_version(apps, schema_editor):
    """The present text becomes version 1 of the assignments that were made under it.

    Of earlier texts only the hash was kept, so those assignments have no version.
    """
    Assignment = apps.get_model("annotation", "Assignment")
    Version = apps.get_model("annotation", "GuidelinesVersion")
    for project in apps.get_model("annotation", "Project").objects.exclude(guidelines=""):
        version = Version.objects.create(project=project, number=1, text=project.guidelines)
        digest = hashlib.sha256(project.guidelines.encode()).hexdigest()
        Assignment.objects.filter(task__project=project, guidelines_hash=digest).update(
            guidelines=version
        )


class Migration(migrations.Migration):
    dependencies = [("annotation", "0006_workbench")]

    operations = [
        migrations.RunPython(seconds_move, migrations.RunPython.noop),
        migrations.RunPython(guidelines_version, migrations.RunPython.noop),
    ]
