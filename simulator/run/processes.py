"""A run in several processes: each sends for a part of the gateways, and has a sink of its own."""

from __future__ import annotations

import contextlib
import multiprocessing
import queue
import signal
from collections.abc import Callable, Sequence
from multiprocessing.context import SpawnProcess
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Event
from typing import NamedTuple

import msgspec

from simulator.faults.truth import InjectedFault
from simulator.run.manifest import DeviceCounts, Manifest
from simulator.run.sender import Counts
from simulator.run.simulation import Plan, simulate
from simulator.sinks.destination import Destination
from simulator.sinks.sink import SinkError

#: Seconds between two looks at whether the run should stop or a process has died.
_GLANCE = 0.1


class _Failure(NamedTuple):
    words: str


_Message = tuple[int, Counts | InjectedFault | Manifest | _Failure]


def simulate_in_parts(
    planned: Plan,
    to: Destination,
    parts: int,
    *,
    stopped: Callable[[], bool],
    on_progress: Callable[[Counts], None],
    on_injected: Callable[[InjectedFault], None],
) -> Manifest:
    """Simulate as :func:`simulator.run.simulation.simulate` does, in ``parts`` processes; the counts are the sums.

    If one fails, the others are stopped, and SinkError says why; there is no manifest then.
    """
    context = multiprocessing.get_context("spawn")
    messages: Queue[_Message] = context.Queue()
    stop = context.Event()
    processes = [
        context.Process(
            target=_work,
            args=(msgspec.structs.replace(planned, part=(number, parts)), to, messages, stop),
            daemon=True,
        )
        for number in range(parts)
    ]
    for process in processes:
        process.start()
    progress: dict[int, Counts] = {}
    manifests: dict[int, Manifest] = {}
    try:
        while len(manifests) < parts:
            if stopped():
                stop.set()
            try:
                number, message = messages.get(timeout=_GLANCE)
            except queue.Empty:
                _check([process for number, process in enumerate(processes) if number not in manifests], messages)
                continue
            match message:
                case Counts():
                    progress[number] = message
                    on_progress(_sum(list(progress.values())))
                case InjectedFault():
                    on_injected(message)
                case Manifest():
                    manifests[number] = message
                case _Failure(words):
                    raise SinkError(words)
    finally:
        stop.set()
        for process in processes:
            process.join(timeout=None if len(manifests) == parts else 5)
            process.kill()
    return merged([manifests[number] for number in range(parts)])


def _check(working: Sequence[SpawnProcess], messages: Queue[_Message]) -> None:
    """Raise SinkError if a process ended without a result."""
    dead = [process for process in working if process.exitcode is not None]
    if dead and messages.empty():
        raise SinkError(
            f"a process of the simulation ended before its time (exit code {dead[0].exitcode}); "
            "use fewer processes, or see whether memory was short"
        )


def _work(planned: Plan, to: Destination, messages: Queue[_Message], stop: Event) -> None:
    # Ctrl-C goes to all of a terminal's processes: the parent handles it and stops the others.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    number, _ = planned.part
    parent = multiprocessing.parent_process()

    def stopped() -> bool:
        return stop.is_set() or (parent is not None and not parent.is_alive())

    def tell(message: Counts | InjectedFault | Manifest | _Failure) -> None:
        messages.put((number, message))

    first = tell if number == 0 else lambda _: None
    try:
        with to.open(planned.part) as sink:
            sent = simulate(
                planned,
                sink,
                stopped=stopped,
                on_progress=tell,
                on_injected=first,
                outbox_bytes=to.outbox_bytes,
            )
        tell(sent)
    except (SinkError, OSError, ValueError) as error:
        tell(_Failure(str(error)))
    except Exception as error:
        tell(_Failure(f"{type(error).__name__}: {error}"))
        raise
    finally:
        with contextlib.suppress(OSError):
            messages.close()


def _sum(counts: list[Counts]) -> Counts:
    return Counts(
        sent=sum(each.sent for each in counts),
        refused=sum(each.refused for each in counts),
        reached=min(each.reached for each in counts),
    )


def merged(manifests: list[Manifest]) -> Manifest:
    """Merge the manifests of a run's parts."""
    by_device: dict[str, DeviceCounts] = {}
    for each in manifests:
        for device, counts in each.by_device.items():
            # Several parts may have sent lines of a device: those of different gateways that heard it.
            by_device[device] = _added(by_device[device], counts) if device in by_device else counts
    return msgspec.structs.replace(
        manifests[0],
        ended_at=max(each.ended_at for each in manifests),
        arrived_from=min(each.arrived_from for each in manifests),
        arrived_to=max(each.arrived_to for each in manifests),
        retried=sum(each.retried for each in manifests),
        refusal=next((each.refusal for each in manifests if each.refusal), ""),
        by_device=dict(sorted(by_device.items())),
        **{name: sum(getattr(each, name) for each in manifests) for name in DeviceCounts.__struct_fields__},
    )


def _added(one: DeviceCounts, other: DeviceCounts) -> DeviceCounts:
    return DeviceCounts(**{name: getattr(one, name) + getattr(other, name) for name in DeviceCounts.__struct_fields__})
