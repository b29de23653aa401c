"""What wa-admin costs, as ratios against the plainest thing that does the same on the same machine.

`make bench` prints a table and one line of JSON. Ratios are of CPU time, measured in interleaved rounds, so
that a busy machine changes both sides alike; only they can fail the run.
"""
