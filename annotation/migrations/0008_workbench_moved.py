from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("annotation", "0007_workbench_data")]

    operations = [
        migrations.RemoveConstraint(
            model_name='ranking',
            name='ranking_seconds_not_negative',
        ),
        migrations.RemoveConstraint(
            model_name='thumb',
            name='thumb_seconds_not_negative',
        ),
        migrations.RemoveField(
            model_name='assignment',
            name='guidelines_hash',
        ),
        migrations.RemoveField(
            model_name='ranking',
            name='seconds_spent',
        ),
        migrations.RemoveField(
            model_name='thumb',
            name='seconds_spent',
        ),
    ]
