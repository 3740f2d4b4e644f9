from django.db import models


class CreatedModel(models.Model):
    """A row that knows when it was made."""

    created_at = models.DateTimeField(auto_now_add=True, editable=False)

    class Meta:
        abstract = True


def choices_check(
    field: str, choices: type[models.TextChoices], name: str
) -> models.CheckConstraint:
    """The database itself refuses a value that is not one of the choices."""
    return models.CheckConstraint(
        condition=models.Q(**{f"{field}__in": sorted(choices.values)}), name=name
    )
