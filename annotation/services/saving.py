"""The two ways a service writes a row: validated first, and only what changed."""

from typing import Any, TypeVar

from django.db.models import Model

Row = TypeVar("Row", bound=Model)


def save_new(row: Row) -> Row:
    """Raises Django's ValidationError, which the API renders as invalid_input."""
    row.full_clean()
    row.save(force_insert=True)
    return row


def save_changed(row: Row, **values: Any) -> list[str]:
    """Sets the values, validates and saves the fields that differ; returns their names."""
    changed = [name for name, value in values.items() if getattr(row, name) != value]
    if not changed:
        return []
    for name in changed:
        setattr(row, name, values[name])
    row.full_clean(exclude={f.name for f in row._meta.fields if f.name not in changed})
    row.save(update_fields=changed)
    return changed
