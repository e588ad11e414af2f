"""Import time of the handler in a new execution environment, and the AWS SDK's part of it."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys

from benchmarks.detector.contenders import LAMBDA_ENVIRONMENT

_CLIENTS = "import boto3\nfor service in ('s3', 'dynamodb', 'sqs'): boto3.client(service)"
_NO_CLIENTS = "import boto3\nboto3.client = lambda *_, **__: None"
_HANDLER = "import lambdas.detector.handler"

#: What is imported, by what it is called in the report.
_STATEMENTS = {
    "handler": _HANDLER,
    "handler without boto3's clients": f"{_NO_CLIENTS}\n{_HANDLER}",
    "boto3": "import boto3",
    "boto3 and the same clients": _CLIENTS,
}


def cold_imports(times: int) -> dict[str, float]:
    """Median seconds from the first line of a new interpreter to the import's end; bytecode is on the disk."""
    for statements in _STATEMENTS.values():
        _seconds(statements)
    rounds = [{name: _seconds(statements) for name, statements in _STATEMENTS.items()} for _ in range(times)]
    return {name: statistics.median(measured[name] for measured in rounds) for name in _STATEMENTS}


def _seconds(statements: str) -> float:
    program = f"import time\nbegan = time.perf_counter()\n{statements}\nprint(time.perf_counter() - began)"
    environment = os.environ | LAMBDA_ENVIRONMENT
    ran = subprocess.run([sys.executable, "-c", program], env=environment, check=True, stdout=subprocess.PIPE)
    return float(ran.stdout.splitlines()[-1])
