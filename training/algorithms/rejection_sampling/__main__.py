from training.algorithms.entry import main

main("rejection_sampling")
