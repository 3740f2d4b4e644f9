from datetime import datetime, timedelta
from typing import Any

from django import forms
from django.contrib.auth.models import User
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from annotation.choices import BriefKind, Role
from annotation.models import ApiToken, Project
from annotation.validation import MAX_REASON
from frontend.labels import translated

MAX_UPLOAD_BYTES = 64 * 1024 * 1024
LIFETIMES = (
    (30, _("30 days")),
    (90, _("90 days")),
    (365, _("One year")),
    (0, _("Until I revoke it")),
)


class PromptImportForm(forms.Form):
    text = forms.CharField(
        required=False,
        label=_("Paste lines"),
        strip=False,
        widget=forms.Textarea(attrs={"rows": 8, "class": "code", "spellcheck": "false"}),
    )
    file = forms.FileField(
        required=False, label=_("Or choose a file"), help_text=_("UTF-8, .jsonl")
    )

    def clean_file(self) -> str:
        upload = self.cleaned_data["file"]
        if not upload:
            return ""
        if upload.size > MAX_UPLOAD_BYTES:
            raise forms.ValidationError(_("The file is larger than 64 MiB; import it in parts."))
        try:
            return str(upload.read().decode("utf-8-sig"))
        except UnicodeDecodeError as error:
            words = _("The file is not UTF-8: %(reason)s.")
            raise forms.ValidationError(words % {"reason": error.reason}) from error

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        text, file = data.get("text") or "", data.get("file") or ""
        if not self.errors and bool(text.strip()) == bool(file.strip()):
            raise forms.ValidationError(_("Paste lines or choose a file: one of the two."))
        return data | {"lines": file if file.strip() else text}


class MemberForm(forms.Form):
    username = forms.CharField(
        label=_("Username"), max_length=150, widget=forms.TextInput(attrs={"autocomplete": "off"})
    )
    role = forms.ChoiceField(
        label=_("Role"), choices=translated(Role.choices), initial=Role.LABELER
    )

    def clean_username(self) -> User:
        name = self.cleaned_data["username"]
        user = User.objects.filter(username=name, is_active=True).first()
        if user is None:
            words = _("There is no user %(name)s. Staff can make one in the Django admin.")
            raise forms.ValidationError(words % {"name": name})
        return user

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        if "username" in data:
            data["user"] = data.pop("username")
        return data


class ForgetForm(forms.Form):
    reason = forms.CharField(
        label=_("Reason"),
        max_length=MAX_REASON,
        widget=forms.Textarea(attrs={"rows": 2}),
        help_text=_("Admins see it; the labeler does not."),
    )
    retrain = forms.BooleanField(
        required=False, initial=True, label=_("Start a round that trains again without their work")
    )


class TokenForm(forms.Form):
    name = forms.CharField(
        label=_("What is it for?"), max_length=ApiToken._meta.get_field("name").max_length
    )
    days = forms.TypedChoiceField(
        label=_("How long may it work?"), choices=LIFETIMES, coerce=int, initial=90
    )

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        days = data.pop("days", 0)
        expires_at: datetime | None = timezone.now() + timedelta(days=days) if days else None
        return data | {"expires_at": expires_at}


class ProjectForm(forms.ModelForm):
    class Meta:
        model = Project
        fields = [
            "name",
            "description",
            "completions_per_task",
            "judgements_per_task",
            "demonstrations_target",
            "lease_minutes",
            "undo_minutes",
            "is_active",
        ]
        labels = {
            "name": _("Name"),
            "description": _("Description"),
            "completions_per_task": _("Answers per ranking"),
            "judgements_per_task": _("People per ranking"),
            "demonstrations_target": _("Demonstrations wanted"),
            "lease_minutes": _("Reservation, minutes"),
            "undo_minutes": _("Time to take back, minutes"),
            "is_active": _("The project is open"),
        }
        help_texts = {
            "completions_per_task": _("2 to 9. Holds for new tasks."),
            "judgements_per_task": _("How many people judge each task. Holds for new tasks."),
            "demonstrations_target": _("For how many prompts a person is asked for the answer."),
            "lease_minutes": _("How long a task is kept for a person without a sign of life."),
            "undo_minutes": _("How long people may take back what they submitted; 0: never."),
            "is_active": _("A paused project hands out no new work."),
        }
        widgets = {"description": forms.Textarea(attrs={"rows": 2})}


class GuidelinesForm(forms.Form):
    guidelines = forms.CharField(
        required=False,
        label=_("Guidelines"),
        max_length=Project._meta.get_field("guidelines").max_length,
        widget=forms.Textarea(attrs={"rows": 16}),
        help_text=_("Shown beside every task, one key away. Markdown is drawn."),
    )

    def clean_guidelines(self) -> str:
        # Browsers send lines that end as in letters to printers.
        return str(self.cleaned_data["guidelines"]).replace("\r\n", "\n")


class BriefTextForm(forms.Form):
    text = forms.CharField(
        label=_("Text"), max_length=4_000, widget=forms.Textarea(attrs={"rows": 3, "dir": "auto"})
    )

    def clean_text(self) -> str:
        return str(self.cleaned_data["text"]).replace("\r\n", "\n")


class BriefForm(BriefTextForm):
    kind = forms.ChoiceField(label=_("Kind"), choices=translated(BriefKind.choices))
    name = forms.CharField(
        label=_("Name"), max_length=100, widget=forms.TextInput(attrs={"autocomplete": "off"})
    )

    field_order = ["kind", "name", "text"]


class FlagForm(forms.Form):
    name = forms.CharField(
        required=False, label=_("Name"), widget=forms.TextInput(attrs={"autocomplete": "off"})
    )
    question = forms.CharField(required=False, label=_("Question"))


FlagFormSet = forms.formset_factory(FlagForm, extra=2)
