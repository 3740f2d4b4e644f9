from datetime import datetime, timedelta
from typing import Any

from django import forms
from django.contrib.auth.models import User
from django.utils import timezone

from annotation.choices import Role
from annotation.judgements import kind_list
from annotation.models import ApiToken, Project
from annotation.validation import MAX_REASON

MAX_UPLOAD_BYTES = 64 * 1024 * 1024
LIFETIMES = ((30, "30 days"), (90, "90 days"), (365, "One year"), (0, "Until I revoke it"))


class PromptImportForm(forms.Form):
    text = forms.CharField(
        required=False,
        label="Paste lines",
        strip=False,
        widget=forms.Textarea(attrs={"rows": 8, "class": "code", "spellcheck": "false"}),
    )
    file = forms.FileField(required=False, label="Or choose a file", help_text="UTF-8, .jsonl")

    def clean_file(self) -> str:
        upload = self.cleaned_data["file"]
        if not upload:
            return ""
        if upload.size > MAX_UPLOAD_BYTES:
            raise forms.ValidationError("The file is larger than 64 MiB; import it in parts.")
        try:
            return str(upload.read().decode("utf-8-sig"))
        except UnicodeDecodeError as error:
            raise forms.ValidationError(f"The file is not UTF-8: {error.reason}.") from error

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        text, file = data.get("text") or "", data.get("file") or ""
        if not self.errors and bool(text.strip()) == bool(file.strip()):
            raise forms.ValidationError("Paste lines or choose a file: one of the two.")
        return data | {"lines": file if file.strip() else text}


class MemberForm(forms.Form):
    username = forms.CharField(
        label="Username", max_length=150, widget=forms.TextInput(attrs={"autocomplete": "off"})
    )
    role = forms.ChoiceField(choices=Role.choices, initial=Role.LABELER)

    def clean_username(self) -> User:
        name = self.cleaned_data["username"]
        user = User.objects.filter(username=name, is_active=True).first()
        if user is None:
            raise forms.ValidationError(
                f"There is no user {name}. Staff can make one in the Django admin."
            )
        return user


class ForgetForm(forms.Form):
    reason = forms.CharField(
        max_length=MAX_REASON,
        widget=forms.Textarea(attrs={"rows": 2}),
        help_text="Admins see it; the labeler does not.",
    )
    retrain = forms.BooleanField(
        required=False, initial=True, label="Start a round that trains again without their work"
    )


class TokenForm(forms.Form):
    name = forms.CharField(
        label="What is it for?", max_length=ApiToken._meta.get_field("name").max_length
    )
    days = forms.TypedChoiceField(
        label="How long may it work?", choices=LIFETIMES, coerce=int, initial=90
    )

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        days = data.pop("days", 0)
        expires_at: datetime | None = timezone.now() + timedelta(days=days) if days else None
        return data | {"expires_at": expires_at}


class ProjectForm(forms.ModelForm):
    kinds = forms.MultipleChoiceField(
        label="What people are asked to do", widget=forms.CheckboxSelectMultiple
    )

    class Meta:
        model = Project
        fields = [
            "name",
            "description",
            "guidelines",
            "kinds",
            "completions_per_task",
            "judgements_per_task",
            "demonstrations_target",
            "lease_minutes",
            "is_active",
        ]
        labels = {
            "completions_per_task": "Answers per ranking",
            "judgements_per_task": "People per ranking",
            "demonstrations_target": "Demonstrations wanted",
            "lease_minutes": "Reservation, minutes",
            "is_active": "The project is open",
        }
        widgets = {
            "description": forms.Textarea(attrs={"rows": 2}),
            "guidelines": forms.Textarea(attrs={"rows": 8}),
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field = self.fields["kinds"]
        assert isinstance(field, forms.MultipleChoiceField)
        field.choices = [(kind.name, kind.title) for kind in kind_list()]
