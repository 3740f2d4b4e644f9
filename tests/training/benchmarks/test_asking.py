"""The small world in which strategies are compared is what its description says."""

from training.benchmarks.asking import NUM_EASY, curve, prompts_draw, table_row


def test_a_prompt_is_easy_or_hard_never_both() -> None:
    candidates = prompts_draw(40, 0.1, seed=3)
    is_easy = candidates[..., NUM_EASY:].abs().sum((1, 2)) == 0
    is_hard = candidates[..., :NUM_EASY].abs().sum((1, 2)) == 0
    # One in ten of 40.
    assert (int(is_easy.sum()), int(is_hard.sum())) == (36, 4)
    assert bool((is_easy ^ is_hard).all())


def test_heads_learn_what_people_want_and_the_same_seed_asks_the_same() -> None:
    learned = curve("disagreement", 0.1, seed=1)
    assert learned == curve("disagreement", 0.1, seed=1)
    # A coin orders half of the pairs; 400 of them have a standard error of .025.
    assert learned[-1] > 0.6
    assert learned[-1] > learned[0] - 0.05


def test_a_row_pairs_the_difference_by_seed() -> None:
    accuracies = {"random": [[0.0, 0.6], [0.0, 0.7]], "thompson": [[0.0, 0.7], [0.0, 0.9]]}
    # Differences .1 and .2: mean .15, standard error .1 / sqrt(2) / sqrt(2) = .05.
    cells = [cell.strip() for cell in table_row(1, "thompson", accuracies).strip("|").split("|")]
    assert cells == ["50", "`thompson`", "0.800", "+0.150 ± 0.050", "+3.0"]
