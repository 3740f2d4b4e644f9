"""The kinds of judgement that show a policy's answers, and which of them a project collects."""

from annotation.judgements import kind_get, kind_list
from annotation.judgements.base import JudgementKind, Supply
from annotation.models import Project, Prompt


def answer_kind_names() -> list[str]:
    """Of every kind whose tasks show sampled answers, collected or not."""
    return [kind.name for kind in kind_list() if _shows_answers(kind)]


def preference_kind_names() -> list[str]:
    """Of every kind that puts the answers to one prompt in order."""
    return [kind.name for kind in kind_list() if kind.is_preference]


def kinds_of_answers(project: Project, prompt: Prompt | None = None) -> list[JudgementKind]:
    """Those the project collects, in its order; with a prompt, only those that take it."""
    collected = [kind_get(name) for name in project.kinds]
    return [
        kind
        for kind in collected
        if _shows_answers(kind) and (prompt is None or kind.takes_prompt(prompt))
    ]


def kinds_of_several(project: Project) -> list[JudgementKind]:
    """Those of them that show several answers at once."""
    return [kind for kind in kinds_of_answers(project) if kind.supply is Supply.ANSWERS]


def trial_kind(project: Project) -> JudgementKind | None:
    """By which people compare a new policy with the one in use: the first that orders answers."""
    return next((kind for kind in kinds_of_several(project) if kind.is_preference), None)


def takes_every_prompt(kind: JudgementKind) -> bool:
    return type(kind).takes_prompt is JudgementKind.takes_prompt


def _shows_answers(kind: JudgementKind) -> bool:
    return kind.supply in (Supply.ANSWERS, Supply.ANSWER)
