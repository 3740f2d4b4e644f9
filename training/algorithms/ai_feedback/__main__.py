from training.algorithms.entry import main

main("ai_feedback")
