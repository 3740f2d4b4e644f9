from training.algorithms.entry import main

main("revise")
