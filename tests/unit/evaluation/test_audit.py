"""What of a run is where, by device and stage, against a lake that loses what it is told to."""

from __future__ import annotations

import datetime as dt
import gzip
import io
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, cast

import boto3
import msgspec
import pytest
import sqlglot
from botocore.exceptions import ClientError
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluation import curated_lines, raw_lines
from evaluation.audit import Audit, Counts, DeviceRow, audit
from evaluation.raw_lines import NOT_READABLE, Lateness, count_raw_lines
from glue_jobs.curate.zones.raw import raw_object
from pipeline.errors import PipelineError
from simulator.run.manifest import DeviceCounts, Manifest
from telemetry.reading.codec import decode_batch
from telemetry.reading.model import Reading
from telemetry.tables.curated import QUARANTINE, READINGS
from tests.unit.pipeline.alerting import DEPLOYED
from tests.unit.pipeline.lake import Lake

START = dt.datetime(2026, 11, 23, 12, 0, 10, tzinfo=dt.UTC)
END = START + dt.timedelta(minutes=5)


def at(seconds: float) -> dt.datetime:
    return START + dt.timedelta(seconds=seconds)


def line(device: str, seq: int, *, ts: dt.datetime | None = None, temperature: float = 20.0) -> bytes:
    reading = Reading(device_id=device, site="plant-1", ts=ts or at(seq), seq=seq, temperature=temperature, status="ok")
    return msgspec.json.encode(reading)


def damaged(device: str, seq: int) -> bytes:
    """A line that is no reading and still says whose it is."""
    return line(device, seq)[:-5]


def astray(device: str, seq: int) -> bytes:
    """A reading that is damaged in its time, and is one still."""
    return line(device, seq, ts=at(3650 * 86_400))


def manifest(by_device: dict[str, DeviceCounts], *, speed: float = 1.0) -> Manifest:
    def total(name: str) -> int:
        return sum(getattr(counts, name) for counts in by_device.values())

    return Manifest(
        scenario="test", seed=1, devices=len(by_device), gateways=1, speed=speed,
        started_at=START, ended_at=END, arrived_from=START, arrived_to=END,
        **{name: total(name) for name in ("sent", "duplicates", "malformed", "late", "reordered", "refused")},
        retried=0, refusal="", by_device=by_device,
    )  # fmt: skip


class RawBucket:
    """S3 with one bucket of raw objects; each was complete when its key says."""

    class exceptions:  # noqa: N801 - as botocore has it
        class NoSuchKey(Exception):  # noqa: N818
            """What botocore raises for it."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}

    def put(self, lines: Iterable[bytes], seconds: float = 1, *, name: str = "a", hour: int | None = None) -> None:
        self.put_bytes(b"".join(text + b"\n" for text in lines), seconds, name=name, hour=hour)

    def put_bytes(self, body: bytes, seconds: float = 1, *, name: str = "a", hour: int | None = None) -> None:
        moment = at(seconds)
        folder = f"raw/dt={moment:%Y-%m-%d}/hour={moment.hour if hour is None else hour:02}"
        self.objects[f"{folder}/firehose-{moment:%Y-%m-%d-%H-%M-%S}-{name}"] = body

    def get_paginator(self, _: str) -> RawBucket:
        return self

    def paginate(self, *, Prefix: str, StartAfter: str, **_: str) -> Iterator[dict[str, Any]]:  # noqa: N803
        for key in sorted(self.objects):
            if key.startswith(Prefix) and key > StartAfter:
                size = len(self.objects[key])
                yield {"Contents": [{"Key": key, "Size": size, "LastModified": START - dt.timedelta(days=1)}]}

    def get_object(self, *, Key: str, **_: str) -> dict[str, Any]:  # noqa: N803
        return {"Body": io.BytesIO(self.objects[Key])}


class Pipeline:
    """A raw zone, and tables that are filled from it as the curation does; lines named in ``forgets`` it loses."""

    def __init__(self) -> None:
        self.raw = RawBucket()
        self.lake = Lake(READINGS, QUARANTINE)
        self.session = cast("boto3.Session", self)

    def client(self, _: str, **__: object) -> RawBucket:
        return self.raw

    def curate(self, forgets: Iterable[bytes] = ()) -> None:
        left_out = Counter(forgets)
        found = [raw_object(key, 0, START - dt.timedelta(days=1)) for key in self.raw.objects]
        first: dict[tuple[str, int], Reading] = {}
        rows: dict[tuple[str, int], dict[str, Any]] = {}
        for each in sorted((each for each in found if each), key=lambda each: (each.arrived, each.key)):
            body = self.raw.objects[each.key]
            body = gzip.decompress(body) if body.startswith(b"\x1f\x8b") else body
            for number, text in enumerate(body.split(b"\n"), start=1):
                if not text.strip():
                    continue
                if left_out[text]:
                    left_out[text] -= 1
                    continue
                place = {"arrived": each.arrived, "raw_object": each.key, "raw_line": number}
                readings, rejected = decode_batch(text, each.arrived)
                for reading in readings:
                    identity = (reading.device_id, reading.seq)
                    if first.setdefault(identity, reading) != reading:
                        self._quarantine(text, "conflict", reading.ts, **place)
                    elif identity in rows:
                        rows[identity]["copies"] += 1
                    else:
                        rows[identity] = {"device_id": reading.device_id, "ts": reading.ts, "copies": 1, **place}
                for bad in rejected:
                    self._quarantine(text, bad.reason, each.arrived, **place)
        for row in rows.values():
            self.lake.add(READINGS, f"{row['ts']:%Y-%m-%d}", **row)

    def _quarantine(self, text: bytes, reason: str, day: dt.datetime, **place: Any) -> None:
        shown = text.decode(errors="backslashreplace")
        self.lake.add(QUARANTINE, f"{day:%Y-%m-%d}", reason=reason, line=shown, **place)

    def audit(self, run: Manifest) -> Audit:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(curated_lines, "query", self.lake.query)
            return audit(self.session, DEPLOYED, run)


@pytest.fixture
def pipeline() -> Pipeline:
    return Pipeline()


def row_of(result: Audit, device: str) -> DeviceRow:
    return next((row for row in result.devices if row.device == device), DeviceRow(device=device))


def test_should_add_up_when_every_line_sent_is_somewhere(pipeline: Pipeline) -> None:
    pipeline.raw.put([line("d-1", 0), line("d-1", 1), line("d-1", 0), damaged("d-1", 2), line("d-2", 0)])
    pipeline.curate()
    result = pipeline.audit(
        manifest({"d-1": DeviceCounts(sent=4, duplicates=1, malformed=1, refused=3), "d-2": DeviceCounts(sent=1)})
    )
    assert result.adds_up
    assert result.lost == 0
    assert result.foreign == 0
    late = Lateness(p50=1.0, p95=1.0, max=1.0)
    one, two = result.devices
    assert one == DeviceRow(
        device="d-1", sent=4, refused=3, raw=4, curated=2, duplicates=1, quarantined=1,
        lateness=Lateness(p50=0.5, p95=0.95, max=1.0),
    )  # fmt: skip
    assert two == DeviceRow(device="d-2", sent=1, raw=1, curated=1, lateness=late)
    assert msgspec.structs.replace(result.totals, lateness=None) == Counts(
        sent=5, refused=3, raw=5, curated=3, duplicates=1, quarantined=1
    )


@pytest.mark.parametrize("lost", [line("d-1", 1), line("d-1", 0), damaged("d-1", 2)])
def test_should_tell_what_is_lost_before_the_raw_zone_from_what_is_lost_after_it(lost: bytes) -> None:
    lines = [line("d-1", 0), line("d-1", 1), line("d-1", 0), damaged("d-1", 2)]
    run = manifest({"d-1": DeviceCounts(sent=4, duplicates=1, malformed=1), "d-2": DeviceCounts()})
    before, after = Pipeline(), Pipeline()
    delivered = lines.copy()
    delivered.remove(lost)
    before.raw.put(delivered)
    before.curate()
    after.raw.put(lines)
    after.curate(forgets=[lost])
    for broken, stages in ((before, (1, 0)), (after, (0, 1))):
        result = broken.audit(run)
        assert not result.adds_up
        for counts in (result.totals, row_of(result, "d-1")):
            assert (counts.lost_in_delivery, counts.lost_in_curation) == stages
        assert row_of(result, "d-2").lost == 0


def test_should_take_what_was_delivered_again_for_no_loss_and_for_nothing_else(pipeline: Pipeline) -> None:
    pipeline.raw.put([line("d-1", 0), damaged("d-1", 1), line("d-1", 0)])
    pipeline.raw.put([line("d-1", 0), damaged("d-1", 1), line("d-1", 0)], 2)
    pipeline.curate()
    result = pipeline.audit(manifest({"d-1": DeviceCounts(sent=3, duplicates=1, malformed=1)}))
    assert result.adds_up
    assert (result.totals.raw, result.totals.redelivered) == (6, 3)
    assert (result.totals.curated, result.totals.duplicates, result.totals.quarantined) == (1, 3, 2)


def test_should_miss_a_line_though_another_came_twice(pipeline: Pipeline) -> None:
    pipeline.raw.put([line("d-1", 0), line("d-1", 0)])
    pipeline.curate()
    result = pipeline.audit(manifest({"d-1": DeviceCounts(sent=2)}))
    assert (result.totals.sent, result.totals.raw) == (2, 2)
    assert (result.totals.lost_in_delivery, result.totals.redelivered) == (1, 1)
    assert not result.adds_up


def test_should_take_a_copy_for_the_first_when_that_was_refused(pipeline: Pipeline) -> None:
    pipeline.raw.put([line("d-1", 0)])
    pipeline.curate()
    result = pipeline.audit(manifest({"d-1": DeviceCounts(sent=1, duplicates=1, refused=1)}))
    assert result.adds_up
    assert not pipeline.audit(manifest({"d-1": DeviceCounts(sent=1, duplicates=1)})).adds_up
    assert pipeline.audit(manifest({"d-1": DeviceCounts(sent=2, duplicates=1, refused=1)})).lost == 1


def test_should_expect_damaged_lines_that_are_the_same_as_often_as_they_were_sent(pipeline: Pipeline) -> None:
    pipeline.raw.put([astray("d-1", 1), astray("d-1", 1), damaged("d-1", 2), damaged("d-1", 2), astray("d-9", 1), b"x"])
    pipeline.curate()
    result = pipeline.audit(manifest({"d-1": DeviceCounts(sent=5, malformed=4)}))
    assert (row_of(result, "d-1").lost_in_delivery, result.lost, result.foreign) == (1, 1, 2)
    assert pipeline.audit(manifest({"d-1": DeviceCounts(sent=4, malformed=4)})).adds_up
    # One of them was redelivered, and that is no surplus.
    result = pipeline.audit(manifest({"d-1": DeviceCounts(sent=3, malformed=3)}))
    assert (result.adds_up, result.totals.redelivered) == (True, 1)
    pipeline.raw.put([line("d-2", 0), damaged("d-2", 1), damaged("d-2", 1)], 2)
    pipeline.curate()
    assert row_of(pipeline.audit(manifest({"d-2": DeviceCounts(sent=2, malformed=2)})), "d-2").surplus == 0


def test_should_fail_when_a_device_sent_more_than_the_run_knows_of(pipeline: Pipeline) -> None:
    pipeline.raw.put([line("d-1", 0), line("d-1", 1)])
    pipeline.curate()
    result = pipeline.audit(manifest({"d-1": DeviceCounts(sent=1)}))
    assert (result.totals.surplus_in_delivery, result.lost, result.adds_up) == (1, 0, False)


def test_should_fail_when_the_tables_have_more_than_the_raw_zone(pipeline: Pipeline) -> None:
    pipeline.raw.put([line("d-1", 0), line("d-1", 1)])
    pipeline.curate()
    pipeline.curate()
    result = pipeline.audit(manifest({"d-1": DeviceCounts(sent=2)}))
    assert (result.totals.surplus_in_curation, result.lost, result.adds_up) == (2, 0, False)


def test_should_count_lines_without_a_device_under_none(pipeline: Pipeline) -> None:
    cut, not_utf8 = b'{"device_id":"d-', line("d-1", 1).replace(b"d-1", b"d-1\xff")
    pipeline.raw.put([line("d-1", 0), cut, not_utf8, line("d-2", 0)])
    pipeline.curate()
    result = pipeline.audit(
        manifest(
            {
                "d-1": DeviceCounts(sent=2, malformed=1),
                "d-2": DeviceCounts(sent=2, malformed=1),
                "d-3": DeviceCounts(sent=0),
            }
        )
    )
    assert result.adds_up
    assert [row.unreadable for row in result.devices] == [0, 1, 1, 0]
    assert row_of(result, NOT_READABLE) == DeviceRow(device=NOT_READABLE, sent=2, raw=2, quarantined=2)
    assert (result.totals.sent, result.totals.raw, result.totals.quarantined) == (4, 4, 2)


def test_should_lose_a_line_without_a_device_at_its_stage(pipeline: Pipeline) -> None:
    cut = b'{"device_id":"d-'
    pipeline.raw.put([cut, line("d-1", 0), line("d-2", 0)])
    pipeline.curate(forgets=[cut])
    two = DeviceCounts(sent=2, malformed=1)
    result = pipeline.audit(manifest({"d-1": two, "d-2": two}))
    (lost,) = (row for row in result.devices if row.lost)
    assert (lost.device, lost.lost_in_delivery, lost.lost_in_curation) == (NOT_READABLE, 1, 1)
    # Of one device, it is known whose it was.
    result = pipeline.audit(
        manifest({"d-1": msgspec.structs.replace(two, sent=3, malformed=2), "d-2": DeviceCounts(sent=1)})
    )
    assert row_of(result, "d-1").lost_in_delivery == 1
    assert row_of(result, NOT_READABLE).lost_in_curation == 1


def test_should_leave_what_others_sent_out_and_say_how_much_it_is(pipeline: Pipeline) -> None:
    others = [line("d-9", 0), line("d-9", 1), line("d-9", 0), b"junk", damaged("d-9", 3), b'{"device_id":7}']
    pipeline.raw.put([line("d-1", 0), damaged("d-1", 1), *others])
    pipeline.curate(forgets=others[1:5])
    result = pipeline.audit(manifest({"d-1": DeviceCounts(sent=2, malformed=1)}))
    assert result.adds_up
    assert result.foreign == len(others)
    assert [row.device for row in result.devices] == ["d-1"]
    assert (result.totals.raw, result.totals.curated, result.totals.quarantined) == (2, 1, 1)
    assert result.totals.lateness == row_of(result, "d-1").lateness


def test_should_not_take_what_is_known_to_be_anothers_for_a_line_that_is_lost(pipeline: Pipeline) -> None:
    cut = b'{"device_id":"d-'
    pipeline.raw.put([cut, line("d-9", 0), line("d-9", 0, temperature=30), line("d-9", 1, ts=at(86_400))])
    pipeline.curate(forgets=[cut])
    result = pipeline.audit(manifest({"d-1": DeviceCounts(sent=1, malformed=1)}))
    assert (result.totals.lost_in_curation, result.totals.quarantined, result.foreign) == (1, 0, 3)
    pipeline.raw.put([astray("d-9", 2)])
    result = pipeline.audit(manifest({"d-1": DeviceCounts(sent=1, malformed=1)}))
    assert (row_of(result, "d-1").lost_in_delivery, result.foreign) == (1, 1)


def test_should_find_a_contradiction_and_a_wrong_clock_under_their_device(pipeline: Pipeline) -> None:
    ahead, behind = line("d-1", 8, ts=at(86_400)), line("d-1", 9, ts=at(-40 * 86_400))
    pipeline.raw.put([line("d-1", 0), line("d-1", 0, temperature=30), ahead, behind, behind])
    pipeline.curate()
    run = manifest({"d-1": DeviceCounts(sent=5, duplicates=1)})
    result = pipeline.audit(run)
    assert result.adds_up
    assert row_of(result, "d-1") == DeviceRow(
        device="d-1", sent=5, raw=5, curated=1, quarantined=4, lateness=Lateness(p50=1, p95=1, max=1)
    )
    # No day of a wrong clock is read.
    assert all("dt IN ('2026-11-23')" in sql for sql in pipeline.lake.asked)


def test_should_find_readings_of_any_day_by_one_query_a_table(pipeline: Pipeline) -> None:
    old, older = at(-2 * 86_400), at(-29 * 86_400)
    pipeline.raw.put([line("d-1", 0, ts=old), line("d-1", 1, ts=older), line("d-1", 1, ts=older, temperature=9)])
    pipeline.raw.put([damaged("d-1", 2)], 2)
    pipeline.curate()
    result = pipeline.audit(manifest({"d-1": DeviceCounts(sent=4, malformed=1)}))
    assert result.adds_up
    assert (result.totals.curated, result.totals.quarantined) == (2, 2)
    assert len(pipeline.lake.asked) == 2
    for sql in pipeline.lake.asked:
        assert "dt IN ('2026-10-25', '2026-11-21', '2026-11-23')" in sql
        assert len(sqlglot.parse(sql, read="trino")) == 1


def test_should_read_what_may_hold_the_runs_lines_and_nothing_that_was_there_before(pipeline: Pipeline) -> None:
    pipeline.raw.put([line("d-1", 0)], -60)  # before the run: of an earlier one
    pipeline.raw.put([line("d-1", 1)], 1, hour=11)  # collecting began in the hour before
    pipeline.raw.put([line("d-1", 2)], 300)
    pipeline.raw.put([line("d-1", 3)], 1170)  # collected late, and in the same hour
    pipeline.raw.put([line("d-1", 4)], 3600)  # of another hour
    pipeline.curate()
    result = pipeline.audit(manifest({"d-1": DeviceCounts(sent=3)}))
    assert result.adds_up
    assert result.totals.raw == result.totals.curated == 3
    assert count_raw_lines(pipeline.session, "raw", manifest({})) == 3
    across = msgspec.structs.replace(manifest({"d-1": DeviceCounts(sent=4)}), arrived_to=at(2700))
    assert pipeline.audit(across).adds_up


def test_should_read_compressed_objects_and_know_corrupt_and_empty_ones(pipeline: Pipeline) -> None:
    pipeline.raw.put_bytes(gzip.compress(line("d-1", 0) + b"\n\n" + line("d-1", 1)), name="b")
    pipeline.curate()
    assert pipeline.audit(manifest({"d-1": DeviceCounts(sent=2)})).adds_up
    pipeline.raw.put_bytes(gzip.compress(line("d-1", 2))[:-9], name="c")
    pipeline.raw.put_bytes(b"", name="d")
    result = pipeline.audit(manifest({"d-1": DeviceCounts(sent=3)}))
    assert (row_of(result, "d-1").lost_in_delivery, result.foreign) == (1, 2)
    assert count_raw_lines(pipeline.session, "raw", manifest({})) == 4


def test_should_count_readings_that_a_younger_one_overtook(pipeline: Pipeline) -> None:
    # In an object, and from one object to a later one; neither copies nor what was complete at the same time.
    pipeline.raw.put([line("d-1", 0), line("d-1", 2), line("d-1", 1), line("d-2", 5), line("d-1", 0)])
    pipeline.raw.put([line("d-1", 4), line("d-1", 3)], 2, name="a")
    pipeline.raw.put([line("d-2", 6), line("d-1", 5), line("d-1", 2), line("d-3", 1)], 3, name="a")
    pipeline.raw.put([line("d-2", 4), line("d-1", 6), line("d-3", 0)], 3, name="b")
    pipeline.curate()
    counts = DeviceCounts(sent=10)
    result = pipeline.audit(manifest({"d-1": counts, "d-2": counts, "d-3": counts}))
    assert [row.reordered for row in result.devices] == [2, 1, 0]
    assert result.totals.reordered == 3


def test_should_measure_lateness_by_the_first_arrival_as_the_table_does(pipeline: Pipeline) -> None:
    pipeline.raw.put([line("d-1", seq, ts=at(0)) for seq in range(3)], 2)
    pipeline.raw.put([line("d-1", 0, ts=at(0)), line("d-1", 3, ts=at(0)), line("d-2", 0, ts=at(0))], 12)
    pipeline.raw.put([damaged("d-3", 0), line("d-3", 0, ts=at(-40 * 86_400)), line("d-2", 0, ts=at(0))], 12, name="b")
    # What was complete last does not come last by its key.
    pipeline.raw.put([line("d-2", 0, ts=at(0))], 15, hour=11)
    pipeline.curate()
    counts = DeviceCounts(sent=2)
    run = manifest({"d-1": counts, "d-2": counts, "d-3": counts})
    result = pipeline.audit(run)
    one, two, three = (row.lateness for row in result.devices)
    assert one == Lateness(p50=2.0, p95=10.5, max=12.0)
    assert two == Lateness(p50=12.0, p95=12.0, max=12.0)
    assert three is None
    assert result.totals.lateness == Lateness(p50=2.0, p95=12.0, max=12.0)


@pytest.mark.parametrize("speed", [0.0, 60.0])
def test_should_measure_no_lateness_where_time_was_simulated(speed: float, pipeline: Pipeline) -> None:
    pipeline.raw.put([line("d-1", 0)])
    pipeline.curate()
    result = pipeline.audit(manifest({"d-1": DeviceCounts(sent=1)}, speed=speed))
    assert result.adds_up
    assert not result.real_time
    assert result.totals.lateness is row_of(result, "d-1").lateness is None


def test_should_audit_many_devices_and_lines_at_once(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(raw_lines, "_ROWS_AT_ONCE", 900)
    names = [f"d-{number:05}" for number in range(2_000)]
    for place in range(4):
        pipeline.raw.put((line(name, place) for name in names), place + 1)
    heard: list[tuple[int, int]] = []
    monkeypatch.setattr(curated_lines, "query", pipeline.lake.query)
    run = manifest({name: DeviceCounts(sent=4) for name in names})
    result = audit(pipeline.session, DEPLOYED, run, on_progress=lambda done, of: heard.append((done, of)))
    assert (result.totals.raw, result.totals.lost_in_curation) == (8_000, 8_000)
    assert {row.raw for row in result.devices} == {4}
    assert heard == [(done, 4) for done in range(5)]
    assert len(pipeline.lake.asked) == 2


def test_should_say_in_one_line_what_cannot_be_read(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(**_: object) -> None:
        raise ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, "ListObjectsV2")

    monkeypatch.setattr(pipeline.raw, "paginate", refuse)
    for ask in (lambda: pipeline.audit(manifest({})), lambda: count_raw_lines(pipeline.session, "raw", manifest({}))):
        with pytest.raises(PipelineError, match=r"^cannot list s3://.*/raw/: .*AccessDenied"):
            ask()


def test_should_put_first_who_lost_most_and_then_who_had_most_removed() -> None:
    rows = [
        DeviceRow(device="a"),
        DeviceRow(device="b", duplicates=1, quarantined=1),
        DeviceRow(device="c", lost_in_curation=2),
        DeviceRow(device="d", surplus_in_delivery=1),
        DeviceRow(device="e", lost_in_delivery=3),
        DeviceRow(device="f", duplicates=3),
    ]
    result = Audit(totals=Counts(), devices=rows, foreign=0, real_time=True)
    assert "".join(row.device for row in result.worst(9)) == "ecdfba"
    assert "".join(row.device for row in result.worst(2)) == "ec"


class Sent(msgspec.Struct, frozen=True):
    """A line that was sent, and what became of it on the way."""

    device: str
    kind: str
    text: bytes
    delivered: bool
    curated: bool


@st.composite
def runs(draw: st.DrawFn) -> list[Sent]:
    """Lines of three devices in any order of kinds, any of them lost before or after the raw zone."""
    sent: list[Sent] = []
    alike = draw(st.booleans())
    for device in ("d-1", "d-2", "d-3"):
        kinds = draw(st.lists(st.sampled_from(["reading", "copy", "damaged", "astray", "unreadable"]), max_size=7))
        for seq, kind in enumerate(["reading", *kinds]):
            text = {
                "reading": line(device, seq),
                "copy": line(device, 0),
                "damaged": damaged(device, 7 if alike else seq),
                "astray": astray(device, 8 if alike else seq),
                "unreadable": b'{"device_id":"',
            }[kind]
            kept = st.sampled_from([True, True, False])
            sent.append(Sent(device, kind, text, draw(kept), draw(kept)))
    return draw(st.permutations(sent))


def counts_of(lines: Sequence[Sent]) -> dict[str, DeviceCounts]:
    return {
        device: DeviceCounts(
            sent=len(own),
            duplicates=own.count("copy"),
            malformed=len(own) - own.count("copy") - own.count("reading"),
        )
        for device in ("d-1", "d-2", "d-3")
        for own in [[each.kind for each in lines if each.device == device]]
    }


def put_and_curate(lines: Sequence[Sent]) -> Pipeline:
    pipeline = Pipeline()
    delivered = [each for each in lines if each.delivered]
    for number in range(0, len(delivered), 5):
        pipeline.raw.put([each.text for each in delivered[number : number + 5]], number + 1)
    pipeline.curate(forgets=[each.text for each in delivered if not each.curated])
    return pipeline


def assert_balanced(result: Audit) -> None:
    """What each count is said to be the sum of."""
    for each in result.devices:
        ended = each.raw + each.lost_in_delivery + each.unreadable
        assert each.sent + each.redelivered + each.surplus_in_delivery == ended
    counts: list[Counts] = [result.totals, *result.devices]
    for row in counts:
        known = row.curated + row.duplicates + row.quarantined
        assert row.raw + row.surplus_in_curation == known + row.lost_in_curation
    totals = result.totals
    assert totals.sent + totals.redelivered + totals.surplus_in_delivery == totals.raw + totals.lost_in_delivery


@settings(max_examples=60)
@given(lines=runs())
def test_should_find_whatever_is_lost_where_it_was_lost(lines: list[Sent]) -> None:
    result = put_and_curate(lines).audit(manifest(counts_of(lines)))
    assert_balanced(result)
    lost = [each for each in lines if not each.delivered]
    assert result.totals.lost_in_delivery == len(lost)
    assert result.totals.surplus == result.foreign == 0
    for device in ("d-1", "d-2", "d-3"):
        kinds = [each.kind for each in lost if each.device == device]
        # A damaged line that is lost may have been one of those that do not say whose they are.
        clear = kinds.count("reading") + kinds.count("copy")
        assert clear <= row_of(result, device).lost_in_delivery <= len(kinds)
    forgotten = Counter(
        NOT_READABLE if each.kind == "unreadable" else each.device
        for each in lines
        if each.delivered and not each.curated
    )
    assert {row.device: row.lost_in_curation for row in result.devices if row.lost_in_curation} == forgotten
    assert result.adds_up == (not lost and not forgotten)


@settings(max_examples=40)
@given(lines=runs(), data=st.data())
def test_should_add_up_whatever_is_delivered_again(lines: list[Sent], data: st.DataObject) -> None:
    whole = [msgspec.structs.replace(each, delivered=True, curated=True) for each in lines]
    again = data.draw(st.lists(st.sampled_from(whole), max_size=8))
    result = put_and_curate([*whole, *again]).audit(manifest(counts_of(whole)))
    assert_balanced(result)
    assert result.adds_up
    assert result.totals.redelivered + result.foreign == len(again)
    for device in ("d-1", "d-2", "d-3"):
        kinds = [each.kind for each in again if each.device == device]
        # Damaged lines come twice, or two were sent that are the same: what is no loss is believed.
        readings = kinds.count("reading") + kinds.count("copy")
        assert (
            readings <= row_of(result, device).redelivered <= readings + kinds.count("damaged") + kinds.count("astray")
        )
