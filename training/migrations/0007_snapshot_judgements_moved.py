from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("training", "0006_snapshot_judgements")]

    operations = [
        migrations.RemoveField(model_name="snapshot", name="demonstrations"),
        migrations.RemoveField(model_name="snapshot", name="rankings"),
        migrations.RemoveField(model_name="snapshot", name="thumbs"),
    ]
