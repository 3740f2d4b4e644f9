"""Replies to people who wait: `python -m training.algorithms.replying NUM_THREADS IDLE_SECONDS`.

A process that keeps the last policies in memory and answers one request after the other. It speaks
JSON lines; stdin has requests:

    {"prompt_id": 7, "messages": [...], "seed": 1, "config": {...},
     "parts": [{"index": 0, "location": "/path", "is_served": false}, ...]}

`config` is that of the method `sample`; of two parts with different locations two policies write.
With {"only_load": true} the policies are loaded, and there are no replies.
stdout has, for each request, any number of {"progress": share of all tokens, 0 to 1} and then one
of

    {"replies": [{"index": 0, "text": "...", "num_tokens": 3, "finished": true, "seed": 1}, ...]}
    {"refusal": a sentence for the person who waits}
    {"defect": a story for whoever looks after the machine}

The process exits with 0 after IDLE_SECONDS without a request, and when stdin is closed.
"""
