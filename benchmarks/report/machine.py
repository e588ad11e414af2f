"""Conditions of a measurement: the machine, the versions and the commit."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from importlib import metadata
from pathlib import Path

import msgspec

ROOT = Path(__file__).resolve().parents[2]

#: Packages that most figures depend on; a benchmark adds those of its peers.
_PACKAGES = ("aws-cdk-lib", "boto3", "duckdb", "msgspec", "numpy", "pandas", "pyarrow")


class Machine(msgspec.Struct, frozen=True):
    """Where it was measured. ``cores`` are those that the process may use, ``memory_gb`` is what is built in."""

    cpu: str
    cores: int
    memory_gb: float
    os: str
    kernel: str
    python: str


class Surroundings(msgspec.Struct, frozen=True):
    """Conditions that all measurements of a run share. ``commit`` says so if files differ from it."""

    machine: Machine
    versions: dict[str, str]
    commit: str


def surroundings() -> Surroundings:
    """Return the machine of this process."""
    return Surroundings(machine(), versions(), commit())


def machine() -> Machine:
    """This machine."""
    return Machine(
        cpu=_cpu(),
        cores=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        memory_gb=round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1),
        os=_os(),
        kernel=f"{platform.system()} {platform.release()} {platform.machine()}",
        python=f"{platform.python_implementation()} {platform.python_version()}",
    )


def _cpu() -> str:
    try:
        found = re.search(r"^model name\s*: (.+)$", Path("/proc/cpuinfo").read_text(encoding="utf-8"), re.MULTILINE)
    except OSError:
        return _said("sysctl", "-n", "machdep.cpu.brand_string") or platform.processor() or "unknown"
    return found[1] if found else platform.processor() or "unknown"


def _os() -> str:
    try:
        return platform.freedesktop_os_release()["PRETTY_NAME"]
    except (OSError, KeyError):
        return platform.platform()


def versions() -> dict[str, str]:
    """Return the versions of installed packages, and of the embedded AWS, which has its own environment."""
    found = {"python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    pinned = re.search(r"^ministack==(\S+)", (ROOT / "local" / "requirements.txt").read_text("utf-8"), re.MULTILINE)
    return {**found, "ministack": pinned[1]} if pinned else found


def commit() -> str:
    """The commit of this clone, and whether files differ from it; those of the report itself do not count."""
    found = _said("git", "rev-parse", "--short", "HEAD")
    if not found:
        return "unknown"
    changed = _said("git", "status", "--porcelain", "--", ".", ":!docs/report", ":!docs/report.md")
    return f"{found} with changes" if changed else found


def _said(*command: str) -> str:
    """Return the output of a program, or an empty string if it is missing or fails."""
    try:
        return subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""
