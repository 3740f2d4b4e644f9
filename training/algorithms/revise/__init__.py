"""Critique and revision: a model improves its own answers by written principles."""

from dataclasses import dataclass

from training.algorithms.configs import option, require_at_least_one, require_positive
from training.algorithms.methods import Method
from training.algorithms.sampling.server_generator import server_fields_check


@dataclass(frozen=True, slots=True)
class ReviseConfig:
    num_revisions: int = option(
        1, "Revisions of each answer, one after the other, each by a principle drawn by the seed."
    )
    temperature: float = option(1.0, "Sampling temperature.")
    max_new_tokens: int = option(256, "Longest answer, critique and revision.")
    max_prompt_tokens: int = option(
        2048, "Longest chat before an answer; what grows longer is left out."
    )
    batch_rows: int = option(64, "Prompts worked on together.")
    server_url: str | None = option(
        None,
        "Address of a server that writes instead of a checkpoint, as in `ai_feedback`.",
    )
    server_model: str | None = option(
        None, "The server's name for the model; may be left out when it serves one model."
    )

    def validate(self) -> None:
        require_at_least_one(
            self, "num_revisions", "max_new_tokens", "max_prompt_tokens", "batch_rows"
        )
        require_positive(self, "temperature")
        server_fields_check(self.server_url, self.server_model)


METHOD = Method(
    name="revise",
    title="Critique and revise",
    stage="feedback",
    config=ReviseConfig,
    queue="sample",
    optional_inputs={"judge": ("server_url", None)},
    data=("prompts", "principles"),
)
