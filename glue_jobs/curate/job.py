"""The script Glue runs: find our own code, then call it.

On AWS, Glue has installed the wheel named by ``--extra-py-files``. The emulator runs the script alone and
only says, in the environment, where the wheel is.
"""

from __future__ import annotations

import importlib
import os
import sys
import tempfile
from pathlib import Path
from urllib.parse import urlsplit

import boto3
from botocore.exceptions import BotoCoreError, ClientError

_WHEEL = "extra-py-files"


def _run() -> None:
    with tempfile.TemporaryDirectory(prefix="curate-code-") as folder:
        wheel = os.environ.get(_WHEEL)
        if wheel:
            source, target = urlsplit(wheel), Path(folder) / Path(wheel).name
            try:
                boto3.client("s3").download_file(source.netloc, source.path.lstrip("/"), str(target))
            except (BotoCoreError, ClientError) as error:
                sys.exit(f"curate: cannot fetch the job's code from {wheel}: {error}")
            sys.path.insert(0, str(target))
        engine = importlib.import_module("glue_jobs.curate.engines.duckdb_engine").DuckDBEngine
        importlib.import_module("glue_jobs.curate.main").main(sys.argv[1:], os.environ, engine)


if __name__ == "__main__":
    _run()
