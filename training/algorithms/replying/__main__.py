import sys

from training.algorithms.replying.serving import serve

serve(num_threads=int(sys.argv[1]), idle_seconds=float(sys.argv[2]))
