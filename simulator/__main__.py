"""``python -m simulator``: the simulator alone."""

from simulator.run.command import main

main()
