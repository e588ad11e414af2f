"""Routes of lines: the other gateways of its site through which a device may be heard."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from simulator.fleet.fleet import Fleet
from simulator.models.randomness import Places
from simulator.scenario.faults import matches


class Routes(NamedTuple):
    """The chosen gateways in the order of their sites, and for each gateway of the fleet, those of its site.

    The chosen gateways of a gateway's site are the ``many`` from ``begin`` on, and ``next`` is the place among them of
    the first one after itself; a site that has none is in ``many`` with 0.
    """

    chosen: Places
    begin: Places
    many: Places
    next: Places

    def after(self, gateway: Places, steps: Places | int = 0) -> Places:
        """Return the next chosen gateway of each one's site, ``steps`` further, round and round; itself for none."""
        many = self.many[gateway]
        place = self.begin[gateway] + (self.next[gateway] + steps) % np.maximum(many, 1)
        # Where a site has none, the place is that of another site's, or beyond the end.
        return np.where(many > 0, self.chosen[np.minimum(place, len(self.chosen) - 1)], gateway)

    def elsewhere(self, gateway: Places) -> NDArray[np.bool_]:
        """Return for which gateways there is another one to go to."""
        return np.not_equal(self.after(gateway), gateway)


def routes(fleet: Fleet, glob: str) -> Routes:
    """Return the routes to the gateways whose names match."""
    every = np.arange(len(fleet.gateways))
    chosen = np.flatnonzero([matches(name, (glob,)) for name in fleet.gateways])
    if not len(chosen):
        return Routes(every, every, np.zeros_like(every), np.zeros_like(every))
    sites = fleet.gateway_site[chosen]
    begin = np.searchsorted(sites, fleet.gateway_site)
    many = np.searchsorted(sites, fleet.gateway_site, "right") - begin
    return Routes(chosen, begin, many, np.searchsorted(chosen, every, "right") - begin)
