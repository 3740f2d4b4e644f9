from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from annotation.choices import AILabelerKind
from annotation.models import AILabeler, Project
from annotation.models.ai import MAX_PRINCIPLE_CHARACTERS
from frontend.labels import translated
from training.choices import FeedbackPurpose
from training.selectors.ai_feedback import CHECKPOINT_ID, judge_checkpoints
from training.services.ai_feedback import NUM_DEFAULT, NUM_MAX


class PrincipleForm(forms.Form):
    name = forms.CharField(
        label=_("Name"), max_length=100, help_text=_("For this page; the AI does not see it.")
    )
    text = forms.CharField(
        label=_("Text"),
        max_length=MAX_PRINCIPLE_CHARACTERS,
        help_text=_("A sentence, say: The better answer is honest about what it does not know."),
        widget=forms.Textarea(attrs={"rows": 2}),
    )


class PrincipleChangeForm(forms.Form):
    text = forms.CharField(
        max_length=MAX_PRINCIPLE_CHARACTERS, widget=forms.Textarea(attrs={"rows": 2})
    )
    is_active = forms.BooleanField(required=False, label=_("Ask about it"))


class AILabelerForm(forms.Form):
    """`config` in the cleaned data is what the service takes."""

    name = forms.CharField(label=_("Name"), max_length=100)
    kind = forms.ChoiceField(
        label=_("Where is the model?"), choices=translated(AILabelerKind.choices)
    )
    server_url = forms.CharField(
        required=False,
        label=_("Address of the server"),
        help_text=_("Without /v1. The machine's owner must have listed it."),
    )
    server_model = forms.CharField(
        required=False,
        label=_("Its name there"),
        help_text=_("Not needed when it is the only one."),
    )
    checkpoint_id = forms.TypedChoiceField(
        required=False, label=_("Or the checkpoint"), coerce=int, empty_value=None
    )

    def __init__(self, *args: Any, project: Project, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field = self.fields["checkpoint_id"]
        assert isinstance(field, forms.ChoiceField)
        names = [(checkpoint.pk, checkpoint.name) for checkpoint in judge_checkpoints(project)]
        field.choices = [("", _("None")), *names]

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        parts = {name: data.pop(name, None) for name in ("server_url", "server_model")}
        parts[CHECKPOINT_ID] = data.pop("checkpoint_id", None)
        return data | {"config": {name: value for name, value in parts.items() if value}}


class AILabelerChangeForm(forms.ModelForm):
    class Meta:
        model = AILabeler
        fields = ["min_agreement", "weight", "is_active", "counts"]
        labels = {
            "min_agreement": _("Least agreement, lower end"),
            "weight": _("Weight, a person's is 1"),
            "is_active": _("May be asked"),
            "counts": _("Learn from its judgements"),
        }
        help_texts = dict.fromkeys(fields, "")
        widgets = {
            "min_agreement": forms.NumberInput(attrs={"min": 0.5, "max": 1, "step": "any"}),
            "weight": forms.NumberInput(attrs={"min": 0.001, "max": 1, "step": "any"}),
        }


class FeedbackForm(forms.Form):
    purpose = forms.ChoiceField(label=_("Ask it to"), choices=translated(FeedbackPurpose.choices))
    num = forms.IntegerField(
        label=_("Pairs or prompts, at most"), min_value=1, max_value=NUM_MAX, initial=NUM_DEFAULT
    )
