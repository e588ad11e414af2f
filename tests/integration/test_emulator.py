"""The embedded AWS starts once, on loopback only, and leaves nothing behind."""

import contextlib
import io
import json
import os
import signal
import socket
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import boto3
import pytest
from botocore.exceptions import ClientError

from local import emulator
from local.emulator import Instance
from local.endpoint import ACCOUNT, LocalError
from tests.waiting import wait_for

ROLE = f"arn:aws:iam::{ACCOUNT}:role/test"

needs_proc = pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="reads /proc, which Linux has")


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    try:
        yield tmp_path
    finally:
        emulator.stop(tmp_path)


@pytest.fixture
def instance(home: Path) -> Instance:
    return emulator.start(home=home)


@pytest.fixture
def session(instance: Instance, turn_to: Callable[[str], boto3.Session]) -> boto3.Session:
    return turn_to(instance.endpoint)


def members(group: int) -> list[int]:
    """The living processes of a group."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            state, _parent, its_group = stat.read_text().rpartition(")")[2].split()[:3]
            if int(its_group) == group and state not in "ZX":
                found.append(int(stat.parent.name))
    return found


def create_function(session: boto3.Session, code: str) -> None:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as zipped:
        zipped.writestr("code.py", code)
    session.client("lambda").create_function(
        FunctionName="function",
        Runtime="python3.13",
        Handler="code.handler",
        Role=ROLE,
        Timeout=300,
        Code={"ZipFile": archive.getvalue()},
    )


def keep_function_busy(session: boto3.Session, busy: Path) -> None:
    create_function(session, f"def handler(*_):\n    open({str(busy)!r}, 'w').close()\n    while True: pass\n")
    session.client("lambda").invoke(FunctionName="function", InvocationType="Event")
    wait_for(busy.exists)


def keep_job_busy(session: boto3.Session, busy: Path) -> None:
    session.client("s3").create_bucket(Bucket="scripts")
    session.client("s3").put_object(
        Bucket="scripts", Key="busy.py", Body=f"open({str(busy)!r}, 'w').close()\nwhile True: pass\n"
    )
    session.client("glue").create_job(
        Name="job", Role=ROLE, Command={"Name": "pythonshell", "ScriptLocation": "s3://scripts/busy.py"}
    )
    session.client("glue").start_job_run(JobName="job")
    wait_for(busy.exists)


def sockets_of(pids: list[int]) -> set[str]:
    links = []
    for pid in pids:
        for fd in Path(f"/proc/{pid}/fd").iterdir():
            with contextlib.suppress(OSError):
                links.append(str(fd.readlink()))
    return {link.removeprefix("socket:[").rstrip("]") for link in links if link.startswith("socket:[")}


def listeners(pids: list[int]) -> list[str]:
    """The local addresses, as /proc/net has them, on which these processes listen or receive datagrams."""
    inodes, found = sockets_of(pids), []
    for table, state in (("tcp", "0A"), ("tcp6", "0A"), ("udp", "07"), ("udp6", "07")):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == state and fields[9] in inodes:
                found.append(fields[1])
    return found


@needs_proc
def test_should_listen_on_the_loopback_interface_only(instance: Instance, session: boto3.Session) -> None:
    session.client("s3").create_bucket(Bucket="some-bucket")
    session.client("sqs").create_queue(QueueName="some-queue")
    assert listeners(members(instance.pid)) == [f"0100007F:{instance.port:04X}"]


@needs_proc
@pytest.mark.parametrize("keep_busy", [keep_function_busy, keep_job_busy])
def test_should_leave_no_process_when_stopped_while_busy(
    keep_busy: Callable[[boto3.Session, Path], None], instance: Instance, session: boto3.Session, home: Path
) -> None:
    keep_busy(session, home / "busy")
    assert len(members(instance.pid)) == 4  # the first, the server, the metrics agent, and the function or job
    assert emulator.stop(home)
    assert members(instance.pid) == []
    assert emulator.running(home) is None


@needs_proc
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_should_leave_no_process_when_the_server_dies_while_busy(
    number: signal.Signals, instance: Instance, session: boto3.Session, home: Path
) -> None:
    keep_function_busy(session, home / "busy")
    server, _agent = Path(f"/proc/{instance.pid}/task/{instance.pid}/children").read_text().split()
    os.kill(int(server), number)
    wait_for(lambda: not members(instance.pid))
    assert emulator.running(home) is None


@needs_proc
def test_should_leave_no_process_when_interrupted_while_starting(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[Instance] = []

    def interrupt(instance: Instance) -> bool:
        started.append(instance)
        raise KeyboardInterrupt

    monkeypatch.setattr(emulator, "is_healthy", interrupt)
    with pytest.raises(KeyboardInterrupt):
        emulator.start(home=home)
    assert members(started[0].pid) == []
    assert emulator.running(home) is None


def test_should_reuse_the_running_instance(instance: Instance, home: Path) -> None:
    assert emulator.start(home=home) == instance
    assert emulator.start(instance.port, home) == instance


def test_should_refuse_another_port_than_the_running_one(instance: Instance, home: Path) -> None:
    with pytest.raises(LocalError, match=f"already runs at {instance.endpoint}"):
        emulator.start(emulator.free_port(), home)


def test_should_outlive_the_command_that_started_it_and_be_found_by_the_next(home: Path) -> None:
    code = f"from pathlib import Path; from local import emulator; emulator.start(home=Path({str(home)!r}))"
    subprocess.run([sys.executable, "-c", code], cwd=emulator.ROOT, check=True, start_new_session=True)
    instance = emulator.running(home)
    assert instance
    assert emulator.is_healthy(instance)


def test_should_start_once_when_two_commands_start_it_at_the_same_time(home: Path) -> None:
    code = f"from pathlib import Path; from local import emulator; print(emulator.start(home=Path({str(home)!r})).pid)"
    commands = [
        subprocess.Popen([sys.executable, "-c", code], cwd=emulator.ROOT, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    first, second = (command.communicate()[0] for command in commands)
    instance = emulator.running(home)
    assert instance
    assert first == second == f"{instance.pid}\n"


def test_should_say_that_the_port_is_in_use(home: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(LocalError, match=f"port {port} cannot be used .*in use.*: choose another") as error:
            emulator.start(port, home)
    assert len(str(error.value).splitlines()) == 1
    assert emulator.running(home) is None


def test_should_start_on_the_given_port(home: Path) -> None:
    port = emulator.free_port()
    assert emulator.start(port, home).endpoint == f"http://127.0.0.1:{port}"


def test_should_come_back_on_its_former_port_or_on_another_where_that_is_taken(home: Path) -> None:
    former = emulator.start(home=home).port
    emulator.stop(home)
    assert emulator.start(home=home).port == former
    emulator.stop(home)
    with socket.create_server(("127.0.0.1", former)):
        assert emulator.start(home=home).port != former


def test_should_run_side_by_side(instance: Instance, session: boto3.Session, tmp_path: Path) -> None:
    other = emulator.start(home=tmp_path / "other")
    try:
        session.client("s3").create_bucket(Bucket="some-bucket")
        assert session.client("s3", endpoint_url=other.endpoint).list_buckets()["Buckets"] == []
    finally:
        emulator.stop(tmp_path / "other")
    assert emulator.is_healthy(instance)


def test_should_be_empty_after_a_reset(session: boto3.Session, home: Path) -> None:
    s3, dynamodb = session.client("s3"), session.client("dynamodb")
    s3.create_bucket(Bucket="some-bucket")
    dynamodb.create_table(
        TableName="table",
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    emulator.reset(home)
    assert s3.list_buckets()["Buckets"] == []
    with pytest.raises(ClientError, match="ResourceNotFoundException"):
        dynamodb.describe_table(TableName="table")


def test_should_have_nothing_to_reset_or_stop_when_none_runs(home: Path) -> None:
    assert emulator.stop(home) is False
    with pytest.raises(LocalError, match="iot up"):
        emulator.reset(home)


def test_should_leave_another_process_alone_whose_id_is_in_an_old_file(home: Path) -> None:
    with subprocess.Popen(["sleep", "600"], start_new_session=True) as bystander:
        try:
            (home / "instance.json").write_text(json.dumps({"pid": bystander.pid, "port": 4566}))
            assert emulator.running(home) is None
            assert emulator.stop(home) is False
            instance = emulator.start(home=home)
            assert instance.pid != bystander.pid
            emulator.stop(home)
            assert bystander.poll() is None
        finally:
            bystander.kill()


def test_should_give_functions_its_own_environment_and_nothing_of_the_users(
    home: Path, monkeypatch: pytest.MonkeyPatch, turn_to: Callable[[str], boto3.Session]
) -> None:
    foreign = {"AWS_PROFILE": "work", "AWS_SESSION_TOKEN": "secret", "HTTPS_PROXY": "http://proxy:1", "SERVICES": "s3"}
    with monkeypatch.context() as of_the_user:
        for name, value in foreign.items():
            of_the_user.setenv(name, value)
        instance = emulator.start(home=home)
    session = turn_to(instance.endpoint)
    create_function(
        session,
        "import os, shutil, sys\n"
        "def handler(*_): return {**os.environ, 'prefix': sys.prefix, 'python3': shutil.which('python3')}\n",
    )
    seen = json.load(session.client("lambda").invoke(FunctionName="function")["Payload"])
    assert {name: seen.get(name) for name in foreign if seen.get(name)} == {}
    assert seen["AWS_ENDPOINT_URL"] == instance.endpoint
    assert seen["AWS_REGION"] == "us-east-1"
    assert seen["TMPDIR"] == str(home / "tmp")
    assert seen["prefix"] == str(emulator.PYTHON.parent.parent)
    assert seen["python3"] == str(emulator.PYTHON)


def test_should_show_the_end_of_the_log_when_it_does_not_start(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = home / "python3"
    broken.write_text("#!/bin/sh\necho this is the reason\nexit 3\n")
    broken.chmod(0o755)
    monkeypatch.setattr(emulator, "PYTHON", broken)
    with pytest.raises(LocalError, match=r"(?s)ended while starting.*this is the reason.*emulator\.log"):
        emulator.start(home=home)
    assert emulator.running(home) is None


def test_should_say_how_to_install_it(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(emulator, "PYTHON", home / "missing")
    with pytest.raises(LocalError, match="make setup"):
        emulator.start(home=home)
