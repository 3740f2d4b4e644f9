from typing import Any

from rest_framework import serializers

from training.api.round_serializers import RoundSerializer
from training.choices import (
    RUN_STEPS,
    Approval,
    CheckpointKind,
    PolicyStart,
    RetiredTasks,
    RewardModelUse,
    RoundStep,
    RunQueue,
    RunStatus,
)
from training.models import Checkpoint, LoopSettings, Run

MAX_COUNT = 1_000_000


class RequirementSerializer(serializers.Serializer):
    what = serializers.CharField(
        help_text="demonstrations, the one kind that is waited for (rankings, thumbs, comparisons "
        "and so on), or judgements: several kinds together."
    )
    have = serializers.IntegerField()
    need = serializers.IntegerField()
    missing = serializers.IntegerField()


class LoopSettingsSerializer(serializers.ModelSerializer):
    reward_model = serializers.ChoiceField(choices=RewardModelUse.choices)
    policy_start = serializers.ChoiceField(choices=PolicyStart.choices)
    approval = serializers.ChoiceField(choices=Approval.choices)
    retired_tasks = serializers.ChoiceField(choices=RetiredTasks.choices)
    gates = serializers.DictField(child=serializers.FloatField(allow_null=True))
    overrides = serializers.DictField()
    sampling = serializers.DictField()

    class Meta:
        model = LoopSettings
        fields = (
            "preset",
            "rankings_per_round",
            "interval_hours",
            "auto_start",
            "min_demonstrations",
            "held_out_percent",
            "base_model",
            "reward_model",
            "test_reward_model",
            "policy_method",
            "policy_start",
            "overrides",
            "seed",
            "prompts_per_round",
            "queue_low_water",
            "strategy",
            "random_share",
            "candidates_per_prompt",
            "sampling",
            "gates",
            "approval",
            "trial_votes",
            "weight_previous",
            "weight_reference",
            "retired_tasks",
        )
        read_only_fields = fields


class LoopSettingsUpdateSerializer(serializers.Serializer):
    base_model = serializers.CharField(max_length=500, allow_blank=True, required=False)
    rankings_per_round = serializers.IntegerField(min_value=1, max_value=MAX_COUNT, required=False)
    interval_hours = serializers.FloatField(
        min_value=0.1,
        max_value=MAX_COUNT,
        allow_null=True,
        required=False,
        help_text="Null: rounds start by judgements alone.",
    )
    min_demonstrations = serializers.IntegerField(min_value=0, max_value=MAX_COUNT, required=False)
    prompts_per_round = serializers.IntegerField(min_value=0, max_value=MAX_COUNT, required=False)
    queue_low_water = serializers.IntegerField(min_value=0, max_value=MAX_COUNT, required=False)
    held_out_percent = serializers.IntegerField(min_value=0, max_value=90, required=False)
    reward_model = serializers.ChoiceField(choices=RewardModelUse.choices, required=False)
    test_reward_model = serializers.BooleanField(required=False)
    policy_method = serializers.CharField(max_length=50, required=False)
    policy_start = serializers.ChoiceField(choices=PolicyStart.choices, required=False)
    strategy = serializers.CharField(max_length=50, required=False)
    random_share = serializers.FloatField(min_value=0, max_value=1, required=False)
    candidates_per_prompt = serializers.IntegerField(min_value=0, max_value=64, required=False)
    auto_start = serializers.BooleanField(required=False)
    gates = serializers.DictField(
        child=serializers.FloatField(allow_null=True),
        required=False,
        help_text="{gate: limit} on top of the defaults; null switches a gate off.",
    )
    approval = serializers.ChoiceField(choices=Approval.choices, required=False)
    trial_votes = serializers.IntegerField(min_value=0, max_value=MAX_COUNT, required=False)
    weight_previous = serializers.FloatField(min_value=0, max_value=MAX_COUNT, required=False)
    weight_reference = serializers.FloatField(min_value=0, max_value=MAX_COUNT, required=False)
    retired_tasks = serializers.ChoiceField(choices=RetiredTasks.choices, required=False)
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
    next_steps = serializers.ListField(child=serializers.ChoiceField(choices=RoundStep.choices))
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
    step = serializers.ChoiceField(choices=RUN_STEPS)
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
    run_id = serializers.IntegerField(allow_null=True, help_text="Null: a live reply.")
    reply_request_id = serializers.IntegerField(
        allow_null=True, help_text="Of a live reply, to somebody at work."
    )
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
