from training.algorithms.entry import main

main("best_of_n")
