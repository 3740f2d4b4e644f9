"""Rounds, their decisions and deployments as JSON, and what may be sent to them."""

from rest_framework import serializers

from training.choices import (
    Decision,
    DeploymentRole,
    RoundStatus,
    RoundStep,
    RunStatus,
    Trigger,
    WaitingFor,
)

STEP_STATES = [
    "waiting",
    "queued",
    "running",
    "waiting_for_people",
    "interrupted",
    "paused",
    "done",
    "left_out",
    "failed",
    "cancelled",
]
GATE_STATES = ["passed", "unmeasured", "hold", "reject"]
GATE_UNITS = ["share", "reward", "deviations", "nats", "ratio"]
MAX_NOTE = 2_000


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
    test_gain = serializers.FloatField(
        allow_null=True, help_text="By the reward model trained on held-out judgements only."
    )
    test_gain_error = serializers.FloatField(allow_null=True, help_text="Standard error.")
    gain_over_previous = serializers.FloatField(
        allow_null=True, help_text="Over the policy in use, by the test reward model."
    )
    gain_over_previous_error = serializers.FloatField(allow_null=True, help_text="Standard error.")
    gain_gap = serializers.FloatField(
        allow_null=True, help_text="Gain that only its own reward model sees, standard deviations."
    )
    retention_rise = serializers.FloatField(allow_null=True, help_text="Nats per token.")


class GateSerializer(serializers.Serializer):
    """What one gate saw of the round, and its verdict."""

    gate = serializers.CharField()
    title = serializers.CharField()
    unit = serializers.ChoiceField(choices=GATE_UNITS)
    is_minimum = serializers.BooleanField(help_text="The limit is a lower one.")
    status = serializers.ChoiceField(choices=GATE_STATES)
    value = serializers.FloatField(allow_null=True)
    limit = serializers.FloatField()
    sentence = serializers.CharField()


class TrialSerializer(serializers.Serializer):
    """Blind votes on the new policy against the one in use."""

    wins = serializers.FloatField(help_text="A tie counts one half.")
    num = serializers.IntegerField()
    share = serializers.FloatField()
    low = serializers.FloatField(help_text="95 %, holds at every look.")
    high = serializers.FloatField(help_text="95 %, holds at every look.")
    wanted = serializers.IntegerField(help_text="Votes after which the trial is over.")


class MadeFromSerializer(serializers.Serializer):
    role = serializers.CharField()
    title = serializers.CharField()
    checkpoint_id = serializers.IntegerField()
    checkpoint_name = serializers.CharField()


class DeployedPolicySerializer(serializers.Serializer):
    role = serializers.ChoiceField(choices=DeploymentRole.choices)
    title = serializers.CharField()
    checkpoint_id = serializers.IntegerField()
    checkpoint_name = serializers.CharField()
    weight = serializers.FloatField()
    is_live = serializers.BooleanField()


class ReplacedRunSerializer(serializers.Serializer):
    run_id = serializers.IntegerField()
    step = serializers.ChoiceField(choices=RoundStep.choices)
    title = serializers.CharField()
    status = serializers.ChoiceField(choices=RunStatus.choices)
    superseded_at = serializers.DateTimeField()


class ActionsSerializer(serializers.Serializer):
    """What an admin may do to the round as it stands."""

    pause = serializers.BooleanField()
    resume = serializers.BooleanField()
    cancel = serializers.BooleanField()
    approve = serializers.BooleanField()
    reject = serializers.BooleanField()
    retry = serializers.BooleanField(help_text="From the step where it stopped.")
    retry_steps = serializers.ListField(
        child=serializers.ChoiceField(choices=RoundStep.choices), help_text="From any of these."
    )


class RoundSerializer(serializers.Serializer):
    id = serializers.IntegerField()
    number = serializers.IntegerField()
    status = serializers.ChoiceField(choices=RoundStatus.choices)
    step = serializers.ChoiceField(choices=RoundStep.choices)
    trigger = serializers.ChoiceField(choices=Trigger.choices)
    trigger_title = serializers.CharField()
    started_by = serializers.CharField(allow_blank=True)
    started_at = serializers.DateTimeField()
    finished_at = serializers.DateTimeField(allow_null=True)
    error_code = serializers.CharField(allow_blank=True)
    error_text = serializers.CharField(allow_blank=True)
    snapshot_hash = serializers.CharField(allow_blank=True)
    manifest = serializers.DictField(help_text="Counts per file and split of the snapshot.")
    settings = serializers.DictField(help_text="The loop's settings as they were at its start.")
    checkpoint_id = serializers.IntegerField(allow_null=True, help_text="What it deployed.")
    checkpoint_name = serializers.CharField(allow_blank=True)
    chosen_id = serializers.IntegerField(
        allow_null=True, help_text="The checkpoint of its policy that the evaluation chose."
    )
    chosen_name = serializers.CharField(allow_blank=True)
    made_from = MadeFromSerializer(many=True, help_text="What its policy started from.")
    waiting_for = serializers.ChoiceField(choices=WaitingFor.choices, allow_blank=True)
    decision = serializers.ChoiceField(choices=Decision.choices, allow_blank=True)
    decision_reason = serializers.CharField(allow_blank=True)
    decided_by = serializers.CharField(allow_blank=True, help_text="Empty: the gates.")
    decided_at = serializers.DateTimeField(allow_null=True)
    sentence = serializers.CharField(help_text="The decision and its reason in words.")
    gates = GateSerializer(many=True)
    trial = TrialSerializer(allow_null=True)
    deployments = DeployedPolicySerializer(many=True, help_text="What it put before people.")
    rolled_back_at = serializers.DateTimeField(allow_null=True)
    rolled_back_by = serializers.CharField(allow_blank=True)
    rollback_reason = serializers.CharField(allow_blank=True)
    steps = StepSerializer(many=True)
    replaced_runs = ReplacedRunSerializer(many=True)
    headline = HeadlineSerializer(allow_null=True)
    actions = ActionsSerializer()


class RetrySerializer(serializers.Serializer):
    step = serializers.ChoiceField(
        choices=RoundStep.choices,
        required=False,
        default="",
        help_text="Do this step and those after it again; without it the round goes on where it "
        "stopped.",
    )


class NoteSerializer(serializers.Serializer):
    note = serializers.CharField(
        max_length=MAX_NOTE, required=False, default="", allow_blank=True, help_text="Why."
    )


class RollbackSerializer(serializers.Serializer):
    reason = serializers.CharField(max_length=MAX_NOTE)
    checkpoint_id = serializers.IntegerField(
        required=False,
        help_text="The policy to take back; refused when another is in use by now, so that asking "
        "twice takes back one.",
    )


class DeploymentSerializer(serializers.Serializer):
    id = serializers.IntegerField()
    role = serializers.ChoiceField(choices=DeploymentRole.choices)
    title = serializers.CharField()
    checkpoint_id = serializers.IntegerField()
    checkpoint_name = serializers.CharField()
    round_number = serializers.IntegerField(allow_null=True, help_text="Null after a rollback.")
    weight = serializers.FloatField()
    share = serializers.FloatField(help_text="Of the answers, by the weights of the live ones.")
    activated_at = serializers.DateTimeField()
    retired_at = serializers.DateTimeField(allow_null=True)


class CheckpointNameSerializer(serializers.Serializer):
    id = serializers.IntegerField()
    name = serializers.CharField()


class DeploymentsSerializer(serializers.Serializer):
    live = DeploymentSerializer(many=True, help_text="The policy in use first.")
    retired = DeploymentSerializer(many=True, help_text="The last 20, newest first.")
    rollback_to = CheckpointNameSerializer(
        allow_null=True, help_text="What a rollback would put in use."
    )


class CheckpointPointSerializer(serializers.Serializer):
    name = serializers.CharField()
    step = serializers.IntegerField(allow_null=True, help_text="Null for the last.")
    kl = serializers.FloatField(help_text="To the reference, nats.")
    root_kl = serializers.FloatField()
    proxy_gain = serializers.FloatField(allow_null=True)
    proxy_gain_error = serializers.FloatField(allow_null=True, help_text="Standard error.")
    test_gain = serializers.FloatField(allow_null=True)
    test_gain_error = serializers.FloatField(allow_null=True, help_text="Standard error.")
    is_chosen = serializers.BooleanField()


class BestOfPointSerializer(serializers.Serializer):
    n = serializers.IntegerField()
    kl = serializers.FloatField(help_text="Nats.")
    root_kl = serializers.FloatField()
    proxy_gain = serializers.FloatField(allow_null=True)
    test_gain = serializers.FloatField(allow_null=True)


class OveroptimizationSerializer(serializers.Serializer):
    """Gain over the reference against the square root of the KL to it."""

    checkpoints = CheckpointPointSerializer(many=True)
    best_of_n = BestOfPointSerializer(many=True)
    has_test = serializers.BooleanField(help_text="A test reward model judged them.")


class PresetSerializer(serializers.Serializer):
    name = serializers.CharField()
    title = serializers.CharField()
    source = serializers.CharField()  # type: ignore[assignment]
    summary = serializers.CharField()
    completions_per_task = serializers.IntegerField()
    fields = serializers.DictField(help_text="Fields of the loop's settings.")  # type: ignore[assignment]
    overrides = serializers.DictField(help_text="{method: {field: value}}")


class PresetApplySerializer(serializers.Serializer):
    name = serializers.CharField(max_length=50)
