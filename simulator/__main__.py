"""``python -m simulator``: the simulator alone."""

from simulator.cli import main

main()
