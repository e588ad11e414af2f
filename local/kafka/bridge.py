"""The bridge: plays for each deployment on a topic what the emulator lacks, its event source mapping and its channel.

Runs next to the broker as ``python -m local.kafka.bridge``. It finds deployments by the outputs of their stacks. More
than one may run: the members of a consumer group share the partitions.
"""

from __future__ import annotations

import datetime as dt
import functools
import logging
import os
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, get_args

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from confluent_kafka import KafkaException

from local.endpoint import ACCOUNT, REGION, LocalError, require_loopback
from local.kafka.batches import Settings
from local.kafka.channel import Channel
from local.kafka.event_source import EventSource
from local.kafka.function import FailureQueue, LambdaFunction
from local.kafka.reader import Reader
from local.kafka.records import Source
from local.kafka.topic import Topic, Topics, require_local_brokers
from pipeline import deployment
from pipeline.deployment import Deployment
from pipeline.errors import PipelineError
from pipeline.names import Names, Stage

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sqs import SQSClient

_POLL_SECONDS = 1.0

#: How long to wait after an unexpected error before the worker starts again.
_RESTART_SECONDS = 1.0

#: Longer than the function's timeout, and with no retries but the mapping's own.
_CLIENTS = Config(retries={"mode": "standard", "total_max_attempts": 1}, read_timeout=90, max_pool_connections=4)

logger = logging.getLogger("kafka bridge")


class Found(NamedTuple):
    """A deployment with a topic; ``stack_id`` differs from that of an earlier deployment with the same names."""

    stack_id: str
    deployed: Deployment

    @property
    def topic(self) -> Topic:
        """The topic of the deployment."""
        return Topic(self.deployed.topic_name, self.deployed.kafka_partitions, self.deployed.stream_retention_hours)


class Worker(Protocol):
    """A member of a consumer group."""

    def run(self, stopped: Callable[[], bool]) -> None:
        """Work until it is stopped."""

    def close(self) -> None:
        """Leave the group."""


class Running:
    """The workers of one deployment, each in a thread of its own."""

    def __init__(self, session: boto3.Session, found: Found, settings: Settings) -> None:
        self.found = found
        self._stopped = threading.Event()
        # Created here and not by the threads: they may share clients, but not a session.
        lambda_client = session.client("lambda", config=_CLIENTS)
        sqs = session.client("sqs", config=_CLIENTS)
        s3 = session.client("s3", config=_CLIENTS)
        self._threads = [
            threading.Thread(target=self._work, args=(make,), daemon=True)
            for make in (
                functools.partial(_event_source, lambda_client, sqs, found.deployed, settings),
                functools.partial(_channel, s3, found.deployed),
            )
        ]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End the workers. One that waits for the function ends after its answer."""
        self._stopped.set()
        for thread in self._threads:
            thread.join()

    def _work(self, make: Callable[[], Worker]) -> None:
        while not self._stopped.is_set():
            try:
                worker = make()
                try:
                    worker.run(self._stopped.is_set)
                finally:
                    worker.close()
            except Exception:  # whatever it is, the records stay in the topic
                logger.exception("a worker of %s starts again", self.found.deployed.topic_name)
                self._stopped.wait(_RESTART_SECONDS)


def _event_source(lambda_client: Any, sqs: SQSClient, deployed: Deployment, settings: Settings) -> EventSource:
    name = deployed.detector_function_name
    arn = f"arn:aws:kafka:{REGION}:{ACCOUNT}:cluster/{deployed.topic_name}/local"
    source = Source(deployed.topic_name, deployed.kafka_bootstrap, arn)
    function_arn = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{name}"
    return EventSource(
        source,
        functools.partial(Reader, deployed.kafka_bootstrap, deployed.consumer_group, deployed.topic_name),
        LambdaFunction(lambda_client, name),
        FailureQueue(sqs, deployed.failure_queue_url, function_arn, source),
        settings=settings._replace(max_age=min(settings.max_age, dt.timedelta(hours=deployed.stream_retention_hours))),
    )


def _channel(s3: S3Client, deployed: Deployment) -> Channel:
    return Channel(
        deployed.channel_name,
        functools.partial(Reader, deployed.kafka_bootstrap, deployed.channel_name, deployed.topic_name),
        s3,
        deployed.raw_bucket_name,
    )


class Bridge:
    """The workers of all deployments with a topic."""

    def __init__(self, session: boto3.Session, settings: Settings = Settings()) -> None:  # noqa: B008
        self._session = session
        self._settings = settings
        self._cloudformation = session.client("cloudformation", config=_CLIENTS)
        self._running: dict[Stage, Running] = {}
        self._problems: dict[Stage, str] = {}

    def poll(self) -> None:
        """Start what is deployed, and end what is gone: a reset of the emulator deletes all stacks.

        A stage whose broker cannot be used is logged once, and the others go on.
        """
        stacks = self._stacks()
        for stage in get_args(Stage):
            try:
                self._update(stage, stacks.get(Names(stage).stack("ingest")))
            except (KafkaException, LocalError) as error:
                if self._problems.get(stage) != str(error):
                    logger.warning("%s: %s", stage, error)
                self._problems[stage] = str(error)
            else:
                self._problems.pop(stage, None)

    def close(self) -> None:
        """End all workers; the topics stay, for other bridges."""
        while self._running:
            self._running.popitem()[1].stop()

    def _stacks(self) -> dict[str, str]:
        pages = self._cloudformation.get_paginator("describe_stacks").paginate()
        return {stack["StackName"]: stack["StackId"] for page in pages for stack in page["Stacks"]}

    def _update(self, stage: Stage, stack_id: str | None) -> None:
        running = self._running.get(stage)
        if running and running.found.stack_id != stack_id:
            self._end(stage)
        if stack_id is None:
            return
        try:
            deployed = deployment.find(self._session, stage)
        except PipelineError:
            return  # The stage is being deployed. What runs goes on: its topic has records that nobody has read.
        if deployed.ingest == "msk":
            self._run(stage, Found(stack_id, deployed))
        elif stage in self._running:
            self._end(stage)

    def _run(self, stage: Stage, found: Found) -> None:
        """Start the workers of a deployment, or start them again if it has changed."""
        running = self._running.get(stage)
        if running and running.found == found:
            return
        if running:
            running.stop()
            del self._running[stage]
        Topics(require_local_brokers(found.deployed.kafka_bootstrap)).ensure(found.topic)
        self._running[stage] = Running(self._session, found, self._settings)
        logger.warning("%s at %s is bridged", found.topic.name, found.deployed.kafka_bootstrap)

    def _end(self, stage: Stage) -> None:
        """End the workers of a deployment that is gone, and delete its topic and groups."""
        running = self._running[stage]
        running.stop()
        deployed = running.found.deployed
        Topics(deployed.kafka_bootstrap).delete(deployed.topic_name, [deployed.consumer_group, deployed.channel_name])
        del self._running[stage]


def main() -> None:
    """Serve the emulator in ``AWS_ENDPOINT_URL`` for as long as the process lives that started this one."""
    logging.basicConfig(format="%(asctime)s [%(name)s] %(levelname)s: %(message)s")
    require_loopback(os.environ["AWS_ENDPOINT_URL"])
    bridge = Bridge(boto3.Session())
    problem = ""
    while os.getppid() == os.getpgrp():  # the first process leads the group
        try:
            bridge.poll()
            problem = ""
        except (BotoCoreError, ClientError) as error:
            if str(error) != problem:  # logged once
                problem = str(error)
                logger.warning("%s", problem)
        except Exception:  # whatever it is, the workers go on
            logger.exception("cannot look for deployments")
        time.sleep(_POLL_SECONDS)


if __name__ == "__main__":
    main()
