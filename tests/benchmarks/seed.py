"""Work for the speed test of the pages: as much as one person does in it, and a session."""

import json

from django.conf import settings
from django.test import Client

from annotation.choices import Origin
from annotation.models import Completion, Project, Prompt
from annotation.services.projects import project_update
from annotation.services.tasks import task_create
from tests.factories import labeler_make, project_make, prompt_make, user_make

NUM_ANSWERS = {
    "ranking": 4,
    "comparison": 2,
    "thumbs": 1,
    "rating": 3,
    "evidence": 1,
    "demonstration": 0,
}
CITING = "Light splits water [1]. The energy that was won builds sugar [1]."
SOURCES = [{"title": "Leaves", "text": "Light splits water, and sugar is built.", "url": ""}]
# About 120 words with what answers have in them: a list, code and a formula.
ANSWER = """Answer {number}. Photosynthesis turns **light** into sugar, in two steps:

1. Light splits water: the chlorophyll gives electrons away and takes them from the water, and
   the oxygen that we breathe is what remains.
2. The energy that was won builds sugar out of carbon dioxide, without any light.

Per molecule of sugar six of carbon dioxide are needed, that is $6\\,CO_2 + 6\\,H_2O$.

```python
def sugar(carbon_dioxide: int) -> int:
    return carbon_dioxide // 6
```

Most plants lose a part of it again, because the enzyme also takes oxygen. Some, such as maize,
have found a way around it that costs a little energy and saves a lot of water on hot days.
"""


def seed(kinds: list[str], num_tasks: int) -> None:
    """Prints the session cookie of a labeler with that many tasks of each kind."""
    project = project_make(admin=user_make("admin"), slug="bench", kinds=kinds)
    for kind in kinds:
        if kind == "prompt_writing":
            project_update(actor=None, project=project, targets={kind: num_tasks})
            continue
        for number in range(num_tasks):
            _task(project, kind, number)
    client = Client()
    client.force_login(labeler_make(project, "bench"))
    name = settings.SESSION_COOKIE_NAME
    print(json.dumps({"name": name, "value": client.cookies[name].value}))


def _task(project: Project, kind: str, number: int) -> None:
    prompt = prompt_make(
        project, f"How does photosynthesis work? I am {number + 8} years old ({kind})."
    )
    if kind == "evidence":
        Prompt.objects.filter(pk=prompt.pk).update(
            sources=SOURCES,
            messages=[{"role": "system", "content": "Sources"}, *prompt.messages],
        )
    text = CITING if kind == "evidence" else ANSWER
    completions = [_completion(prompt, text, number) for number in range(NUM_ANSWERS[kind])]
    task_create(project=project, kind=kind, prompt=prompt, completions=completions)


def _completion(prompt: Prompt, text: str, number: int) -> Completion:
    text = text.format(number=number)
    return Completion.objects.create(prompt=prompt, text=text, origin=Origin.MODEL)
