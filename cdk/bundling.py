"""Assets uploaded in addition to templates: the functions' bundle and the curation job's wheel. No Docker.

Both are named by a hash of their content, so nothing is built or uploaded again without a change.
"""

from __future__ import annotations

import base64
import hashlib
import platform
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal, NamedTuple

import jsii
from aws_cdk import AssetHashType, BundlingOptions, DockerImage, ILocalBundling
from aws_cdk import aws_lambda as lambda_
from uv import find_uv_bin

from cdk.settings import EtlEngine
from cdk.target import Target
from pipeline.names import RULES_KEY

ROOT = Path(__file__).resolve().parents[1]
FUNCTIONS_REQUIREMENTS = ROOT / "lambdas" / "requirements.txt"
#: The curation's script and locked modules, by the engine that runs it.
CURATE_SCRIPTS: dict[EtlEngine, Path] = {
    "pythonshell": ROOT / "glue_jobs" / "curate" / "job.py",
    "spark": ROOT / "glue_jobs" / "curate" / "spark_job.py",
}
CURATE_REQUIREMENTS: dict[EtlEngine, Path] = {
    "pythonshell": ROOT / "glue_jobs" / "curate" / "requirements.txt",
    "spark": ROOT / "glue_jobs" / "curate" / "requirements-spark.txt",
}

#: Lambda's runtime on AWS and LocalStack. MiniStack runs functions in the interpreter it was started with.
LAMBDA_PYTHON = "3.13"

_SKIPPED = (
    "__pycache__",
    "requirements.in",
    "requirements.txt",
    "requirements-spark.in",
    "requirements-spark.txt",
    "job.py",
    "spark_job.py",
)
_MANYLINUX: dict[Literal["arm64", "x86_64"], str] = {
    "arm64": "aarch64-manylinux2014",
    "x86_64": "x86_64-manylinux2014",
}
#: The earliest moment a zip file can hold: a fixed one keeps the archive the same from build to build.
_ZIP_EPOCH = (1980, 1, 1, 0, 0, 0)


class Source(NamedTuple):
    """A file and its path inside the bundle."""

    path: Path
    arcname: str


def _sources(*names: str) -> list[Source]:
    """Return the files under the repository's folders (or files) ``names``, at the same paths in the bundle, sorted."""

    def files() -> Iterator[Path]:
        for name in names:
            path = ROOT / name
            yield from (file for file in path.rglob("*") if file.is_file()) if path.is_dir() else (path,)

    kept = (file for file in files() if not set(_SKIPPED) & set(file.parts))
    return sorted(Source(file, file.relative_to(ROOT).as_posix()) for file in kept)


def _digest(sources: Iterable[Source], *more: str) -> str:
    digest = hashlib.sha256("\0".join(more).encode())
    for source in sources:
        digest.update(f"\0{source.arcname}\0".encode())
        digest.update(hashlib.sha256(source.path.read_bytes()).digest())
    return digest.hexdigest()


def lambda_architecture(target: Target) -> Literal["arm64", "x86_64"]:
    """Return Graviton on AWS, which costs a fifth less; this machine's own on LocalStack, which emulates no other."""
    return "arm64" if target != "localstack" or platform.machine() in ("arm64", "aarch64") else "x86_64"


def functions_code(target: Target) -> lambda_.Code:
    """Return the bundle of all functions: packages, locked dependencies for the target's Python, the default rules."""
    install: tuple[str, ...]
    if target == "ministack":
        install = ("--python", sys.executable)
        built_for = sys.version.split()[0]
    else:
        built_for = _MANYLINUX[lambda_architecture(target)]
        install = ("--python-platform", built_for, "--python-version", LAMBDA_PYTHON)
    sources = _sources("telemetry", "lambdas", RULES_KEY)
    return lambda_.Code.from_asset(
        str(ROOT / "lambdas"),
        asset_hash_type=AssetHashType.CUSTOM,
        asset_hash=_digest(sources, built_for, FUNCTIONS_REQUIREMENTS.read_text()),
        bundling=BundlingOptions(
            # Required by the type; used only if the local bundling declined, which it never does.
            image=DockerImage.from_registry("public.ecr.aws/sam/build-python3.13"),
            local=_FunctionsBundle(sources, install),
        ),
    )


@jsii.implements(ILocalBundling)
class _FunctionsBundle:
    def __init__(self, sources: list[Source], install: tuple[str, ...]) -> None:
        self._sources = sources
        self._install = install

    def try_bundle(self, output_dir: str, *_args: Any, **_kwargs: Any) -> bool:
        """Fill ``output_dir``; called by the CDK once for each hash."""
        command = [
            find_uv_bin(),
            "pip",
            "install",
            "--quiet",
            "--no-deps",
            "--only-binary",
            ":all:",
            "--link-mode",
            "copy",
        ]
        command += ["--target", output_dir, "--requirement", str(FUNCTIONS_REQUIREMENTS), *self._install]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            # Not an ordinary exception: the CDK would bury that in a stack trace of its own.
            raise SystemExit(f"cdk: the functions' dependencies cannot be installed: {done.stderr.strip()}")
        for source in self._sources:
            copy = Path(output_dir, source.arcname)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source.path, copy)
        return True


def curate_wheel(folder: Path) -> Path:
    """Write the job's wheel (``telemetry`` and ``glue_jobs`` with its SQL) into ``folder`` and return its path.

    Written here rather than by a build backend, which would need a second project file to leave out the
    packages that the job does not use. Its build tag is the hash of its files, so that a new wheel has a
    new name and the job a new argument.
    """
    sources = _sources("telemetry", "glue_jobs")
    tag = f"0{_digest(sources)[:16]}"
    release = version("iot-pipeline")
    stem = f"iot_pipeline_curate-{release}"
    wheel = folder / f"{stem}-{tag}-py3-none-any.whl"
    metadata = {
        "METADATA": f"Metadata-Version: 2.1\nName: iot-pipeline-curate\nVersion: {release}\nRequires-Python: >=3.9\n",
        "WHEEL": "Wheel-Version: 1.0\nGenerator: iot-pipeline\nRoot-Is-Purelib: true\n"
        f"Tag: py3-none-any\nBuild: {tag}\n",
    }
    content = {source.arcname: source.path.read_bytes() for source in sources}
    content |= {f"{stem}.dist-info/{name}": text.encode() for name, text in metadata.items()}
    record = f"{stem}.dist-info/RECORD"
    lines = [f"{name},sha256={_record_hash(data)},{len(data)}\n" for name, data in content.items()]
    content[record] = "".join([*lines, f"{record},,\n"]).encode()
    folder.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in content.items():
            archive.writestr(zipfile.ZipInfo(name, _ZIP_EPOCH), data, zipfile.ZIP_DEFLATED)
    return wheel


def _record_hash(data: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()


def curate_modules(engine: EtlEngine) -> str:
    """Return the job's locked third-party modules, in the format of Glue's ``--additional-python-modules``."""
    lines = (line.split("#")[0].strip() for line in CURATE_REQUIREMENTS[engine].read_text().splitlines())
    return ",".join(line for line in lines if line)
