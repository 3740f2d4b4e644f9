from training.algorithms.entry import main

main("reward_model")
