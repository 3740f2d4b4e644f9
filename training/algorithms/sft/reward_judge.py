"""Judges a policy in training by the reward model's mean score of its samples.

InstructGPT (arXiv 2203.02155, section 3.5) chose its SFT model so: the held-out loss overfits after
one epoch, while the score, and people's preference, go on rising.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from training.algorithms.data.encoding import prompt_limit
from training.algorithms.engine.learner import Frozen, Learner
from training.algorithms.engine.processes import processes
from training.algorithms.errors import DataTooSmall
from training.algorithms.measuring.scoring import closed_completions, scores
from training.algorithms.models.checkpoint_io import reward_model_load
from training.algorithms.models.encoder_decoder import require_decoder_only
from training.algorithms.records import Demonstration
from training.algorithms.run_dir import RunDir
from training.algorithms.sampling.generation import generate
from training.algorithms.seeds import seed_mix
from training.algorithms.sft import SFTConfig

BATCH_ROWS = 64


class RewardJudge:
    """Samples at temperature 1, the same seeds at every call, so that epochs differ less by luck.

    Reads the input "reward_model". Raises DataTooSmall without a held-out prompt that leaves room
    for a completion, CheckpointInvalid for an encoder-decoder.
    """

    def __init__(
        self,
        run_dir: RunDir,
        config: SFTConfig,
        tokenizer: Any,
        learner: Learner,
        held_out: Sequence[Demonstration],
    ) -> None:
        require_decoder_only(learner, "SFT with keep = reward")
        location = run_dir.input_path("reward_model")
        limit = prompt_limit(learner, config.max_new_tokens, config.max_tokens)
        fitting = [r.prompt_ids for r in held_out if len(r.prompt_ids) <= limit]
        if not fitting:
            remedy = f"keep = reward needs a prompt of at most {limit} tokens, or choose another."
            raise DataTooSmall("held-out demonstrations", 0, 1, remedy)
        self._prompts = [prompt for prompt in fitting for _ in range(config.keep_samples)]
        self._seeds = [
            seed_mix(run_dir.seed, "sft", "judge", index) for index in range(len(self._prompts))
        ]
        self._reward: Callable[..., Any] = Frozen(
            reward_model_load(location, tokenizer), run_dir.hardware
        )
        self._eos_id, self._pad_id = tokenizer.eos_token_id, tokenizer.pad_token_id
        self._sample = partial(
            generate,
            eos_id=self._eos_id,
            pad_id=self._pad_id,
            temperature=1.0,
            max_new_tokens=config.max_new_tokens,
            batch_rows=BATCH_ROWS,
        )

    def mean_score(self, learner: Learner) -> float:
        """Over all samples; one cut off at max_new_tokens is scored with EOS appended."""
        group, everywhere = processes(), learner.is_sharded
        asked = list(zip(self._prompts, self._seeds, strict=True))
        mine = asked if everywhere else group.share(asked)
        prompts, seeds = [prompt for prompt, _ in mine], [seed for _, seed in mine]
        sampled = learner.read(self._sample, prompts, seeds) if mine else []
        completions = sampled if everywhere else group.gather(sampled)
        closed = closed_completions([each.token_ids for each in completions], self._eos_id)
        return float(self._reward(scores, self._prompts, closed, self._pad_id).double().mean())
