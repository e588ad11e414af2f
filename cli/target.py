"""Which AWS a command talks to: this machine's, unless the real one is asked for by name."""

from __future__ import annotations

import os

import boto3
import msgspec
import typer

from local import emulator, endpoint
from pipeline import deployment
from pipeline.deployment import Deployment
from pipeline.errors import PipelineError


class Choice(msgspec.Struct):
    """Choice of the options before the verb; the context's ``obj``."""

    aws: bool
    stage: str


def deployed(context: typer.Context) -> tuple[boto3.Session, Deployment]:
    """Return a session with the chosen target, and the chosen deployment there."""
    choice: Choice = context.obj
    session = connect(aws=choice.aws)
    return session, find(session, choice)


def find(session: boto3.Session, choice: Choice) -> Deployment:
    """Return the chosen deployment.

    Raises :class:`PipelineError` if there is none, or :class:`~local.endpoint.LocalError` if one in the local AWS names
    a Kafka broker that is not on this machine.
    """
    found = deployment.find(session, choice.stage)
    if found.ingest == "msk" and not choice.aws:
        endpoint.require_broker(found.kafka_bootstrap)
    return found


def connect(*, aws: bool) -> boto3.Session:
    """Return a session with the chosen target; the whole process is turned to it.

    Without ``aws``: ``AWS_ENDPOINT_URL`` if it is set (it must lead to the loopback interface), otherwise
    the local AWS of this clone. Raises :class:`PipelineError` or :class:`~local.endpoint.LocalError`
    with what to do if there is none.
    """
    url = os.environ.get("AWS_ENDPOINT_URL", "")
    if aws:
        if url:
            raise PipelineError(f"--aws means your AWS account, but AWS_ENDPOINT_URL is {url}; unset one of them")
        return boto3.Session()
    if not url:
        instance = emulator.running()
        if instance is None:
            raise PipelineError(
                "no local AWS is running: start one with 'iot up' and 'iot deploy', or see everything at once with "
                "'make demo'; to use your AWS account, write 'iot --aws ...'"
            )
        url = instance.endpoint
    return endpoint.enter(url)
