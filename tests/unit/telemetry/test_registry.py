"""The registry of devices: what a file says, and what a mistake in one says."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telemetry.registry.registry import EMPTY, Device, RegistryError, parse_registry

HEADER = "device,site,model"


def test_should_know_where_each_device_is_and_what_it_is() -> None:
    found = parse_registry('device,site,model,note\nd1,cold,freezer,"north, left"\n\nd2,hall,,\n')
    assert found.attributes == ("model", "note")
    assert found.devices == {
        "d1": Device("cold", {"model": "freezer", "note": "north, left"}),
        "d2": Device("hall", {"model": "", "note": ""}),
    }
    assert found.attributes_of("d1") == {"model": "freezer", "note": "north, left"}
    assert found.attributes_of("d3") == EMPTY.attributes_of("d1") == {}


@pytest.mark.parametrize(
    "text",
    [
        f"{HEADER}\nd1,cold,fan\n",
        f"{HEADER}\nd1,cold,fan\n".encode(),
        f"\ufeff{HEADER}\r\nd1,cold,fan",
        f"\ufeff{HEADER}\nd1,cold,fan".encode(),
        "\n device , site,model \nd1, cold,fan \n,,\n",
    ],
)
def test_should_read_what_editors_and_spreadsheets_write(text: str | bytes) -> None:
    found = parse_registry(text)
    assert (found.attributes, found.devices) == (("model",), {"d1": Device("cold", {"model": "fan"})})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "line 1: column 1 has to be 'device'; begin the header with device,site,model, separated by commas"),
        ("device;site;model\nd1;s;m", "line 1: column 1 has to be 'device'"),
        ("device,model,site\n", "line 1: column 2 has to be 'site'"),
        ("\ndevice,site\n", "line 2: column 3 has to be 'model'"),
        (f"{HEADER},\n", "line 1: column 4 has no name"),
        (f"{HEADER},site\n", "line 1: the column 'site' is there twice"),
        (f"{HEADER}\nd1,s,m\n\nd2,s,m\nd1,t,m\n", "line 5: the device 'd1' is already on line 2; remove one of them"),
        (f"{HEADER}\n,s,m\n", "line 2: the device is empty; write its name"),
        (f"{HEADER}\nd1,s,m,x\n", "line 2: 4 values for 3 columns; leave what is not known empty, and put a value"),
        (f"{HEADER}\nd1,s\n", "line 2: 2 values for 3 columns"),
        (f'{HEADER}\nd1,s,"m\n', "line 2: invalid CSV"),
        (f'{HEADER}\nd1,s,"m"x\n', "line 2: invalid CSV"),
        (f"{HEADER}\nd1,s,m\nd2,s,".encode() + b"\xe9", "line 3: this is not UTF-8; save the file as CSV UTF-8"),
    ],
)
def test_should_say_what_is_wrong_and_on_which_line(text: str | bytes, message: str) -> None:
    with pytest.raises(RegistryError) as error:
        parse_registry(text)
    assert str(error.value).startswith(message)


_VALUES = st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\0"), max_size=10).map(str.strip)


@given(st.dictionaries(_VALUES.filter(bool), st.tuples(_VALUES, _VALUES, _VALUES)))
def test_should_read_back_what_csv_can_say(devices: dict[str, tuple[str, str, str]]) -> None:
    text = io.StringIO(newline="")
    csv.writer(text).writerows([("device", "site", "model", "note"), *((name, *of) for name, of in devices.items())])
    assert parse_registry(text.getvalue()).devices == {
        name: Device(site, {"model": model, "note": note}) for name, (site, model, note) in devices.items()
    }


@given(st.binary(max_size=100) | st.text(max_size=100) | st.text(max_size=50).map(f"{HEADER}\n{{}}".format))
def test_should_refuse_anything_else_as_a_registry_and_nothing_worse(text: bytes | str) -> None:
    try:
        parse_registry(text)
    except RegistryError:
        return
