"""The registry of devices: what each is and where, from a CSV file that a person keeps.

Here every column is text, for rules to match by; ``telemetry.registry.devices`` parses some of them.

::

    device,site,model,interval
    device-00007,cold-north,freezer,60
    device-00008,hall-2,thermostat,300
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from typing import NamedTuple, Union

#: The columns that every registry begins with; those after them are the owner's.
REQUIRED_COLUMNS = ("device", "site", "model")


class RegistryError(ValueError):
    """A registry file cannot be used; the message says the line, what is wrong and what to do."""


class Device(NamedTuple):
    """A registered device: its site, and its attributes by name; an unknown value is empty text."""

    site: str
    attributes: Mapping[str, str]


class Registry(NamedTuple):
    """The names of the attributes in the file's order, the model first, and the devices by name.

    ``lines`` has the line of each device in the file; the last one where a value spans several.
    """

    attributes: tuple[str, ...]
    devices: Mapping[str, Device]
    lines: Mapping[str, int] = {}

    def attributes_of(self, device: str) -> Mapping[str, str]:
        """Return the attributes of a device by name; none if it is not registered."""
        found = self.devices.get(device)
        return found.attributes if found else {}


#: The registry where there is no file. A file without devices still has attributes.
EMPTY = Registry((), {})


def parse_registry(text: Union[str, bytes]) -> Registry:
    """Parse the devices in a CSV text (RFC 4180, UTF-8); raise :class:`RegistryError` if it cannot be used.

    White space around values is dropped, and so are empty lines.
    """
    rows = _rows(text)
    attributes = _attributes(next(rows, (1, [])))
    devices: dict[str, Device] = {}
    lines: dict[str, int] = {}
    for line, row in rows:
        if len(row) != len(attributes) + 2:
            raise RegistryError(
                f"line {line}: {len(row)} values for {len(attributes) + 2} columns; "
                "leave what is not known empty, and put a value with a comma in it into double quotes"
            )
        device, site, *values = row
        if not device:
            raise RegistryError(f"line {line}: the device is empty; write its name, as its readings have it")
        if device in lines:
            raise RegistryError(
                f"line {line}: the device {device!r} is already on line {lines[device]}; remove one of them"
            )
        lines[device] = line
        devices[device] = Device(site, dict(zip(attributes, values)))
    return Registry(attributes, devices, lines)


def _rows(text: Union[str, bytes]) -> Iterator[tuple[int, list[str]]]:
    """Return the rows that are not empty, each with the line on which it ends."""
    reader = csv.reader(io.StringIO(_decoded(text), newline=""), strict=True)
    try:
        for row in reader:
            values = [value.strip() for value in row]
            if any(values):
                yield reader.line_num, values
    except csv.Error as error:
        raise RegistryError(
            f"line {reader.line_num}: invalid CSV ({error}); a double quote in a value is written twice"
        ) from error


def _decoded(text: Union[str, bytes]) -> str:
    if isinstance(text, str):
        return text.removeprefix("\ufeff")
    try:
        return text.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = text.count(b"\n", 0, error.start) + 1
        raise RegistryError(f"line {line}: this is not UTF-8; save the file as CSV UTF-8") from error


def _attributes(header: tuple[int, list[str]]) -> tuple[str, ...]:
    """Return the names of the attributes in the header."""
    line, columns = header
    for place, column in enumerate(REQUIRED_COLUMNS):
        if columns[place : place + 1] != [column]:
            raise RegistryError(
                f"line {line}: column {place + 1} has to be {column!r}; "
                f"begin the header with {','.join(REQUIRED_COLUMNS)}, separated by commas"
            )
    for place, column in enumerate(columns):
        if not column:
            raise RegistryError(f"line {line}: column {place + 1} has no name; give it one, or remove it")
        if column in columns[:place]:
            raise RegistryError(f"line {line}: the column {column!r} is there twice; rename or remove one")
    return tuple(columns[2:])
