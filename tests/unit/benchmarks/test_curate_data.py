"""The data of the curation's benchmark."""

from __future__ import annotations

import datetime as dt
import gzip
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.curate.data import write
from benchmarks.curate.dataset import REGISTRY_KEY, Contents, contents, folder_of, raw_objects
from telemetry.reading.codec import decode_batch
from telemetry.reading.model import Reading
from telemetry.registry.registry import parse_registry

ROWS = 5_000


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Contents]:
    folder = tmp_path_factory.mktemp("curate") / "data"
    return folder, write(folder, ROWS)


def began(path: Path) -> dt.datetime:
    """The moment in the name that Firehose gives to an object."""
    return dt.datetime.strptime(path.name[len("iot-dev-raw-1-") :][:19], "%Y-%m-%d-%H-%M-%S").replace(tzinfo=dt.UTC)


def decoded(folder: Path) -> Iterator[tuple[Path, list[Reading], int]]:
    """Each object with its readings and the number of its malformed lines."""
    for path in raw_objects(folder):
        arrived = dt.datetime.fromtimestamp(path.stat().st_mtime, dt.UTC)
        batch = decode_batch(gzip.decompress(path.read_bytes()), arrived)
        yield path, batch.readings, len(batch.rejected)


def key(reading: Reading) -> tuple[str, int]:
    return reading.device_id, reading.seq


def test_should_be_the_same_bytes_in_every_run(made: tuple[Path, Contents], tmp_path: Path) -> None:
    folder, told = made
    assert write(tmp_path / "again", ROWS) == told
    one, other = (
        {path.relative_to(root): path.read_bytes() for path in root.rglob("*") if path.is_file()}
        for root in (folder, tmp_path / "again")
    )
    assert one == other


@pytest.mark.parametrize("rows", [1, 119, 2_500])
def test_should_hold_exactly_the_readings_that_are_asked_for(tmp_path: Path, rows: int) -> None:
    told = write(tmp_path, rows)
    assert told.rows == rows
    assert len({key(reading) for _, readings, _ in decoded(tmp_path) for reading in readings}) == rows


def test_should_tell_what_it_holds(made: tuple[Path, Contents]) -> None:
    folder, told = made
    objects = list(decoded(folder))
    every = [reading for _, readings, _ in objects for reading in readings]
    once = {key(reading): reading for reading in every}
    assert len(once) == told.rows == ROWS
    assert len(every) - len(once) == told.duplicates > 0
    assert sum(rejected for _, _, rejected in objects) == told.malformed > 0
    assert len(objects) == told.objects
    assert sum(reading.humidity or 0.0 for reading in once.values()) == pytest.approx(told.humidity)
    assert max(dt.datetime.fromtimestamp(path.stat().st_mtime, dt.UTC) for path, *_ in objects) == told.until
    assert contents(folder) == told


def test_should_have_some_readings_come_late(made: tuple[Path, Contents]) -> None:
    folder, told = made
    seen: set[tuple[str, int]] = set()
    late = 0
    for path, readings, _ in decoded(folder):
        late += len({key(reading) for reading in readings if reading.ts < began(path)} - seen)
        seen |= {key(reading) for reading in readings}
    assert late == told.late > 0


def test_should_cut_malformed_lines_so_that_they_are_no_json(made: tuple[Path, Contents]) -> None:
    folder, told = made
    malformed = 0
    for path in raw_objects(folder):
        for line in gzip.decompress(path.read_bytes()).splitlines():
            try:
                json.loads(line)
            except ValueError:
                malformed += 1
    assert malformed == told.malformed


def test_should_register_every_device(made: tuple[Path, Contents]) -> None:
    folder, _ = made
    registered = parse_registry((folder / REGISTRY_KEY).read_text()).devices
    assert {reading.device_id for _, readings, _ in decoded(folder) for reading in readings} <= registered.keys()


def test_should_replace_what_lies_there(tmp_path: Path) -> None:
    write(tmp_path, 3_000)
    told = write(tmp_path, 10)
    assert len(raw_objects(tmp_path)) == told.objects == 1


def test_should_keep_each_size_in_a_folder_of_its_own(tmp_path: Path) -> None:
    assert folder_of(tmp_path, 1_000) != folder_of(tmp_path, 2_000)


def test_should_not_take_data_for_whole_that_was_never_sealed(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        contents(tmp_path)
