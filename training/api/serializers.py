from typing import Any

from rest_framework import serializers

from training.choices import (
    CheckpointKind,
    RoundStatus,
    RoundStep,
    RunQueue,
    RunStatus,
    Trigger,
)
from training.models import Checkpoint, LoopSettings, Run

STEP_STATES = ["waiting", "queued", "running", "interrupted", "done", "failed", "cancelled"]
MAX_COUNT = 1_000_000


class StepSerializer(serializers.Serializer):
    name = serializers.CharField(help_text="As in `step`.")
    title = serializers.CharField()
    state = serializers.ChoiceField(choices=STEP_STATES)
    run_id = serializers.IntegerField(allow_null=True)
    progress_done = serializers.IntegerField()
    progress_total = serializers.IntegerField()
    progress_message = serializers.CharField(allow_blank=True)


class HeadlineSerializer(serializers.Serializer):
    """Measured on held-out prompts; null where the round did not measure it."""

    pair_accuracy = serializers.FloatField(allow_null=True)
    pair_accuracy_n = serializers.IntegerField(help_text="Pairs counted.")
    pair_accuracy_low = serializers.FloatField(allow_null=True, help_text="95 % bound.")
    pair_accuracy_high = serializers.FloatField(allow_null=True, help_text="95 % bound.")
    reward_policy = serializers.FloatField(allow_null=True)
    reward_policy_error = serializers.FloatField(allow_null=True, help_text="Standard error.")
    reward_reference = serializers.FloatField(allow_null=True)
    reward_reference_error = serializers.FloatField(allow_null=True, help_text="Standard error.")
    reward_gain = serializers.FloatField(allow_null=True, help_text="Paired by prompt.")
    reward_gain_error = serializers.FloatField(allow_null=True, help_text="Standard error.")
    num_prompts = serializers.IntegerField(help_text="Prompts the rewards were measured on.")
    kl_to_reference = serializers.FloatField(allow_null=True, help_text="Nats per completion.")
    length_policy = serializers.FloatField(allow_null=True, help_text="Mean tokens.")
    length_reference = serializers.FloatField(allow_null=True, help_text="Mean tokens.")


class RoundSerializer(serializers.Serializer):
    id = serializers.IntegerField()
    number = serializers.IntegerField()
    status = serializers.ChoiceField(choices=RoundStatus.choices)
    step = serializers.ChoiceField(choices=RoundStep.choices)
    trigger = serializers.ChoiceField(choices=Trigger.choices)
    started_by = serializers.CharField(allow_blank=True)
    started_at = serializers.DateTimeField()
    finished_at = serializers.DateTimeField(allow_null=True)
    error_code = serializers.CharField(allow_blank=True)
    error_text = serializers.CharField(allow_blank=True)
    snapshot_hash = serializers.CharField(allow_blank=True)
    manifest = serializers.DictField(help_text="Counts per file and split of the snapshot.")
    checkpoint_id = serializers.IntegerField(allow_null=True, help_text="What it deployed.")
    checkpoint_name = serializers.CharField(allow_blank=True)
    steps = StepSerializer(many=True)
    headline = HeadlineSerializer(allow_null=True)


class RequirementSerializer(serializers.Serializer):
    what = serializers.ChoiceField(choices=["demonstrations", "rankings", "thumbs", "judgements"])
    have = serializers.IntegerField()
    need = serializers.IntegerField()
    missing = serializers.IntegerField()


class LoopSettingsSerializer(serializers.ModelSerializer):
    overrides = serializers.DictField()
    sampling = serializers.DictField()

    class Meta:
        model = LoopSettings
        fields = (
            "base_model",
            "rankings_per_round",
            "min_demonstrations",
            "prompts_per_round",
            "queue_low_water",
            "held_out_percent",
            "policy_method",
            "strategy",
            "auto_start",
            "overrides",
            "sampling",
            "seed",
        )
        read_only_fields = fields


class LoopSettingsUpdateSerializer(serializers.Serializer):
    base_model = serializers.CharField(max_length=500, allow_blank=True, required=False)
    rankings_per_round = serializers.IntegerField(min_value=1, max_value=MAX_COUNT, required=False)
    min_demonstrations = serializers.IntegerField(min_value=0, max_value=MAX_COUNT, required=False)
    prompts_per_round = serializers.IntegerField(min_value=0, max_value=MAX_COUNT, required=False)
    queue_low_water = serializers.IntegerField(min_value=0, max_value=MAX_COUNT, required=False)
    held_out_percent = serializers.IntegerField(min_value=0, max_value=90, required=False)
    policy_method = serializers.CharField(max_length=50, required=False)
    strategy = serializers.CharField(max_length=50, required=False)
    auto_start = serializers.BooleanField(required=False)
    overrides = serializers.DictField(
        child=serializers.DictField(), required=False, help_text="{method: {field: value}}"
    )
    sampling = serializers.DictField(required=False)
    seed = serializers.IntegerField(min_value=0, max_value=2**31 - 1, required=False)


class LoopStatusSerializer(serializers.Serializer):
    auto_start = serializers.BooleanField()
    current = RoundSerializer(allow_null=True)
    last = RoundSerializer(allow_null=True)
    next_number = serializers.IntegerField()
    requirement = RequirementSerializer(help_text="What starts the next round by itself.")
    requirement_manual = RequirementSerializer(help_text='What "train now" takes.')
    sentence = serializers.CharField()
    can_start = serializers.BooleanField()
    deployed_id = serializers.IntegerField(allow_null=True)
    deployed_name = serializers.CharField(allow_blank=True)
    open_tasks = serializers.DictField(child=serializers.IntegerField())
    open_judgements = serializers.DictField(child=serializers.IntegerField())
    num_demonstrations = serializers.IntegerField()
    num_rankings = serializers.IntegerField()
    num_thumbs = serializers.IntegerField()
    num_rounds = serializers.IntegerField()


class LoopSerializer(serializers.Serializer):
    status = LoopStatusSerializer()
    settings = LoopSettingsSerializer()


class RunParentSerializer(serializers.Serializer):
    role = serializers.CharField()
    checkpoint_id = serializers.IntegerField()
    checkpoint = serializers.CharField(source="checkpoint.name")


class RunSerializer(serializers.ModelSerializer):
    """Everything a run was made of, and how it went."""

    status = serializers.ChoiceField(choices=RunStatus.choices)
    queue = serializers.ChoiceField(choices=RunQueue.choices)
    step = serializers.ChoiceField(choices=RoundStep.choices)
    round_id = serializers.IntegerField(allow_null=True)
    round_number = serializers.SerializerMethodField()
    snapshot_hash = serializers.SerializerMethodField()
    checkpoint_id = serializers.SerializerMethodField()
    parents = RunParentSerializer(many=True, source="run_parents")
    config = serializers.DictField()
    result = serializers.DictField()

    class Meta:
        model = Run
        fields = (
            "id",
            "round_id",
            "round_number",
            "step",
            "method",
            "queue",
            "status",
            "progress_done",
            "progress_total",
            "progress_message",
            "config",
            "seed",
            "code_version",
            "snapshot_hash",
            "parents",
            "checkpoint_id",
            "attempt",
            "cancel_requested",
            "heartbeat_at",
            "created_at",
            "started_at",
            "finished_at",
            "error_code",
            "error_text",
            "result",
            "peak_memory_mib",
        )
        read_only_fields = fields

    def get_round_number(self, run: Run) -> int | None:
        return run.round.number if run.round else None

    def get_snapshot_hash(self, run: Run) -> str:
        return run.snapshot.hash if run.snapshot else ""

    def get_checkpoint_id(self, run: Run) -> int | None:
        """The last one; those kept along the way are in the list of checkpoints."""
        last = [item.pk for item in run.checkpoints.all() if item.step is None]
        return last[0] if last else None


class CurvesSerializer(serializers.Serializer):
    curves = serializers.DictField(
        child=serializers.ListField(child=serializers.ListField(child=serializers.FloatField())),
        help_text="{metric: [[step, value], ...]} by step.",
    )


class CheckpointSerializer(serializers.ModelSerializer):
    kind = serializers.ChoiceField(choices=CheckpointKind.choices)
    run_id = serializers.IntegerField(allow_null=True)
    round_number = serializers.SerializerMethodField()
    parents = serializers.SerializerMethodField()
    snapshot_hash = serializers.SerializerMethodField()
    code_version = serializers.SerializerMethodField()
    is_deployed = serializers.SerializerMethodField()
    affected = serializers.BooleanField(
        help_text="It learned from somebody whose work was withdrawn."
    )

    class Meta:
        model = Checkpoint
        fields = (
            "id",
            "kind",
            "name",
            "path",
            "run_id",
            "round_number",
            "parents",
            "snapshot_hash",
            "code_version",
            "is_deployed",
            "affected",
            "created_at",
        )
        read_only_fields = fields

    def get_round_number(self, checkpoint: Checkpoint) -> int | None:
        return checkpoint.run.round.number if checkpoint.run and checkpoint.run.round else None

    def get_parents(self, checkpoint: Checkpoint) -> list[dict[str, Any]]:
        parents = checkpoint.run.run_parents.all() if checkpoint.run else []
        return list(RunParentSerializer(parents, many=True).data)

    def get_snapshot_hash(self, checkpoint: Checkpoint) -> str:
        run = checkpoint.run
        return run.snapshot.hash if run and run.snapshot else ""

    def get_code_version(self, checkpoint: Checkpoint) -> str:
        return checkpoint.run.code_version if checkpoint.run else ""

    def get_is_deployed(self, checkpoint: Checkpoint) -> bool:
        return any(item.retired_at is None for item in checkpoint.deployments.all())


class OriginSampleSerializer(serializers.Serializer):
    checkpoint_id = serializers.IntegerField()
    checkpoint = serializers.CharField()
    run_id = serializers.IntegerField()
    index = serializers.IntegerField()
    seed = serializers.IntegerField()
    settings = serializers.DictField()
    num_tokens = serializers.IntegerField()
    finished = serializers.BooleanField()


class AncestorParentSerializer(serializers.Serializer):
    role = serializers.CharField()
    checkpoint_id = serializers.IntegerField()


class AncestorLabelerSerializer(serializers.Serializer):
    user_id = serializers.IntegerField(allow_null=True, help_text="For admins alone.")
    username = serializers.CharField(allow_null=True, help_text="For admins alone.")
    excluded = serializers.BooleanField(help_text="Their work was withdrawn.")
    judgements = serializers.DictField(child=serializers.IntegerField(), help_text="By kind.")


class AncestorSerializer(serializers.Serializer):
    checkpoint_id = serializers.IntegerField()
    checkpoint = serializers.CharField()
    kind = serializers.ChoiceField(choices=CheckpointKind.choices)
    role = serializers.CharField(allow_blank=True, help_text="Its part in making the one before.")
    run_id = serializers.IntegerField(allow_null=True)
    round = serializers.IntegerField(allow_null=True)
    method = serializers.CharField(allow_null=True)
    code_version = serializers.CharField(allow_null=True)
    snapshot = serializers.CharField(allow_null=True)
    num_rankings = serializers.IntegerField()
    num_demonstrations = serializers.IntegerField()
    parents = AncestorParentSerializer(many=True)
    labelers = AncestorLabelerSerializer(
        many=True, help_text="Whose judgements its run read, and how many."
    )


class OriginSerializer(serializers.Serializer):
    completion_id = serializers.IntegerField()
    prompt_id = serializers.IntegerField()
    origin = serializers.ChoiceField(choices=["model", "person"])
    author = serializers.CharField(allow_null=True)
    sample = OriginSampleSerializer(allow_null=True)
    ancestry = AncestorSerializer(many=True, help_text="From the sampling checkpoint back.")
