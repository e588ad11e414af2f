"""Operators' orders on alerts: acknowledge, snooze, disable, the end of that, close; and devices: retire.

The state is changed as the detector and the watchdog change it: read, decide, write the state and the transitions in
one conditional put, send the transitions, forget them. Whoever is interrupted in between leaves them to the watchdog.
"""

from __future__ import annotations

import datetime as dt
import functools
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Literal

from botocore.exceptions import BotoCoreError, ClientError

from lambdas.store.backoff import BACKOFF, TRIES, Backoff
from lambdas.store.homes import HomeTable
from lambdas.store.items import ItemConflictError, ItemsUnavailableError
from lambdas.store.queue import SendError, TransitionsQueue
from lambdas.store.recent import RecentTable
from lambdas.store.states import StateTable, VersionedState
from pipeline.alerts import Place
from pipeline.errors import PipelineError
from telemetry.alerting.evaluate import AlertError, Evaluation, close, hold, next_silence, release, retire
from telemetry.alerting.state import GatewayState, Hold, Home
from telemetry.rules.rule_set import RuleSet

if TYPE_CHECKING:
    import boto3

    from pipeline.deployment import Deployment

Kind = Literal["acknowledged", "snoozed", "disabled"]

#: The first wait before an order is tried again because the detector has changed the gateway's state, in seconds.
_CONFLICT_BACKOFF = 0.2


class Orders:
    """Gives orders on behalf of ``who``."""

    def __init__(
        self,
        states: StateTable,
        recents: RecentTable,
        homes: HomeTable,
        queue: TransitionsQueue,
        rules: RuleSet,
        *,
        who: str,
        clock: Callable[[], dt.datetime] = lambda: dt.datetime.now(dt.UTC),
        backoff: Backoff = BACKOFF,
    ) -> None:
        self._states = states
        self._recents = recents
        self._homes = homes
        self._queue = queue
        self._rules = rules
        self.who = who
        self._clock = clock
        self._backoff = backoff

    def hold(self, place: Place, kind: Kind, why: str, lasts: dt.timedelta | None) -> Hold:
        """Put a hold on an alert, active or not; ``lasts`` is how long a snooze does.

        It replaces the one before, but what is disabled stays so when it is acknowledged. Return the hold that is in
        force. Raises :class:`PipelineError` where that cannot be done.
        """
        now = self._clock()
        order = Hold(kind, self.who, why, now, now + lasts if lasts else None)

        def decide(state: GatewayState) -> Evaluation:
            if self._rules.named(place.rule) is None and place.rule not in state.alerts.get(place.device, {}):
                names = ", ".join(rule.name for rule in self._rules.rules) or "none"
                raise PipelineError(f"there is no rule {place.rule}; those in use are {names}")
            return hold(self._rules, state, place.device, place.rule, order)

        return self._give(place, decide).holds[place.device][place.rule]

    def release(self, place: Place, kind: Kind, why: str) -> Hold:
        """End a hold of that kind and return it; raises :class:`PipelineError` where there is none."""
        ended: list[Hold] = []

        def decide(state: GatewayState) -> Evaluation:
            order = state.holds.get(place.device, {}).get(place.rule)
            if order is None or order.kind != kind:
                stands = f"it is {order.kind}" if order else "nothing holds it"
                raise PipelineError(f"{_words(place)} is not {kind}: {stands}")
            ended[:] = [order]
            return release(self._rules, state, place.device, place.rule, who=self.who, why=why, now=self._clock())

        self._give(place, decide)
        return ended[0]

    def close(self, place: Place, why: str) -> None:
        """End an alert whatever its readings say; raises :class:`PipelineError` where none is active."""

        def decide(state: GatewayState) -> Evaluation:
            return close(self._rules, state, place.device, place.rule, who=self.who, why=why, now=self._clock())

        state, rule = self._give(place, decide), self._rules.named(place.rule)
        # A gateway that is gone for good cannot be retired: it is looked at when anything of its home is heard.
        if rule and rule.no_data == "device":
            self._look_at(state.home)

    def _look_at(self, home: Home) -> None:
        """Have the watchdog work out when a silence is due again: where all is silent, nobody else does."""
        try:
            read = self._recents.load([home])[home]
            if read.version:
                at_once = dt.datetime.fromtimestamp(read.snapshot.arrived, dt.UTC)
                self._recents.reschedule(home, read, at_once)
        except (ItemsUnavailableError, ClientError, BotoCoreError) as error:
            raise PipelineError(
                f"the alert is closed, but its silence counts again only when {home.gateway} is heard ({error})"
            ) from error

    def known(self, devices: Iterable[str]) -> dict[str, Home]:
        """Return the homes of devices; raises :class:`PipelineError` that names those that are not known."""
        wanted = sorted(set(devices))
        try:
            homes = self._homes.find(wanted)
        except ItemsUnavailableError as error:
            raise PipelineError(f"{error}; nothing was changed, try again") from error
        if unknown := [device for device in wanted if device not in homes]:
            raise PipelineError(f"no such devices were heard of: {', '.join(unknown)}; check the names")
        return homes

    def retire(self, device: str, home: Home, why: str) -> list[str]:
        """End the alerts of a device at home there and watch it no longer; return the rules whose alerts ended.

        A device that is heard again is watched again.
        """
        try:
            self._homes.retire([device], self._clock())
        except ItemsUnavailableError as error:
            raise PipelineError(f"{error}; nothing was changed, try again") from error
        self._forget(device, home)
        ended: list[str] = []

        def decide(state: GatewayState) -> Evaluation:
            ended[:] = sorted(state.alerts.get(device, {}))
            return retire(self._rules, state, device, who=self.who, why=why, now=self._clock())

        self._give(Place(home.gateway, device, "", home=home), decide)
        return ended

    def _forget(self, device: str, home: Home) -> None:
        """Remove a device from those that are watched for silence."""
        for _ in self._backoff.tries(_CONFLICT_BACKOFF):
            state = self._settled(home).state
            try:
                self._recents.forget(home, {device}, self._clock(), functools.partial(next_silence, self._rules, state))
            except ItemConflictError:
                continue
            return
        raise PipelineError(f"what is known of {device} keeps changing; its alerts have not ended, try again")

    def _give(self, place: Place, decide: Callable[[GatewayState], Evaluation]) -> GatewayState:
        home = self._home_of(place)
        for _ in self._backoff.tries(_CONFLICT_BACKOFF):
            try:
                committed = self._commit(self._settled(home), place, decide)
            except ItemConflictError:
                continue
            return self._tell(committed, f"the order on {_words(place)} is in force").state
        raise PipelineError(
            f"the alerts of {home.gateway} keep changing: {TRIES} tries failed and nothing was changed; try again"
        )

    def _home_of(self, place: Place) -> Home:
        """Return where the alerts of a place are kept. A device that has no home gets one at the gateway named."""
        if place.home or not place.device:
            return place.home or Home(place.gateway)
        try:
            if home := self._homes.find([place.device]).get(place.device):
                return home
            if place.gateway:
                return self._homes.claim({place.device: Home(place.gateway)})[place.device]
        except ItemsUnavailableError as error:
            raise PipelineError(f"{error}; nothing was changed, try again") from error
        raise PipelineError(
            f"no device {place.device!r} was heard of: check its name, or name the gateway that it will be behind "
            "with --gateway"
        )

    def _settled(self, home: Home) -> VersionedState:
        """Return the state of a home, after the transitions that somebody left unsent have been sent."""
        try:
            found = self._states.load([home])[home]
        except ItemsUnavailableError as error:
            raise PipelineError(f"{error}; nothing was changed, try again") from error
        return self._tell(found, "nothing was changed") if found.outbox else found

    def _commit(
        self, before: VersionedState, place: Place, decide: Callable[[GatewayState], Evaluation]
    ) -> VersionedState:
        alert = before.state.alerts.get(place.device, {}).get(place.rule)
        if place.alert_id and (alert is None or alert.alert_id != place.alert_id):
            raise PipelineError(f"alert {place.alert_id} ({_words(place)}) has ended meanwhile; nothing was changed")
        try:
            after = decide(before.state)
        except AlertError as error:
            raise PipelineError(str(error)) from error
        return self._states.commit(after.state, before.version, after.transitions, now=self._clock(), lag=before.lag)

    def _tell(self, committed: VersionedState, so_far: str) -> VersionedState:
        try:
            self._queue.send(committed.outbox)
            return self._states.clear_outbox(committed)
        except (SendError, ClientError, BotoCoreError) as error:
            raise PipelineError(
                f"{so_far}, but a change of {committed.state.gateway}'s alerts could not be told ({error}); "
                "the watchdog does that within two minutes"
            ) from error


def open_orders(session: boto3.Session, deployed: Deployment, rules: RuleSet, *, who: str) -> Orders:
    """Orders to a deployment."""
    dynamodb = session.client("dynamodb")
    return Orders(
        StateTable(dynamodb, deployed.state_table_name),
        RecentTable(dynamodb, deployed.state_table_name),
        HomeTable(dynamodb, deployed.state_table_name),
        TransitionsQueue(session.client("sqs"), deployed.transitions_queue_url),
        rules,
        who=who,
    )


def caller(session: boto3.Session) -> str:
    """Who the credentials belong to: the last part of the ARN, such as a user's or a role session's name."""
    arn = str(session.client("sts").get_caller_identity()["Arn"])
    return arn.rpartition(":")[2].rpartition("/")[2]


def _words(place: Place) -> str:
    where = place.device or place.gateway
    return f"{place.rule} at {where}" if place.rule else where
