"""The base model of a language, made once and kept by the hash of what it was made from."""

import json
import random
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

from training.simulation.world.language import Language, LanguageOptions
from training.simulation.world.plan import content_key

NUM_DOCUMENTS = 40_000
SIZES = {"hidden_size": 48, "num_layers": 1, "num_heads": 2}
VERSION = 1


def base_model_ensure(options: LanguageOptions, cache: Path) -> Path:
    """The model's folder; pretrained on first use, in a process of its own (half a minute).

    Raises CalledProcessError.
    """
    language = Language(options)
    document = {
        "config": SIZES,
        "vocabulary": language.vocabulary,
    }
    key = content_key([VERSION, NUM_DOCUMENTS, asdict(options), document])
    folder = cache / f"base-{key}"
    output = folder / "output"
    if not output.exists():
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "words.json").write_text(json.dumps(document))
        rng = random.Random(f"documents {options.seed}")
        lines = (
            json.dumps({"prompt": prompt, "completion": answer})
            for prompt, answer in language.documents(NUM_DOCUMENTS, rng)
        )
        (folder / "documents.jsonl").write_text("\n".join(lines))
        module = "training.algorithms.pretrain.words"
        subprocess.run([sys.executable, "-m", module, str(folder)], check=True)
        (folder / "documents.jsonl").unlink()
    return output
