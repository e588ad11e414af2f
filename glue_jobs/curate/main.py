"""The edge of the job: arguments, clients, and the one line a failure ends with."""

from __future__ import annotations

import datetime as dt
import logging
import sys
from collections.abc import Mapping, Sequence

import boto3
import msgspec
from botocore.exceptions import BotoCoreError

from glue_jobs.curate.arguments import parse_arguments
from glue_jobs.curate.errors import CurateError
from glue_jobs.curate.metrics import publish
from glue_jobs.curate.run import Clients, MakeEngine, curate
from glue_jobs.curate.zones.raw import AWS_CONFIG

logger = logging.getLogger(__name__)


def main(argv: Sequence[str], environ: Mapping[str, str], make_engine: MakeEngine) -> None:
    """Run the job with that engine; the summary is the last line of standard output, as JSON.

    A failure ends the process with one line that says why: that is what Glue shows of it. A success just
    returns, because Glue may take any SystemExit for a failure.
    """
    logging.basicConfig(stream=sys.stdout, level=logging.WARNING, format="%(levelname)s %(message)s")
    try:
        arguments = parse_arguments(argv, environ)
        session = boto3.Session(region_name=arguments.region)
        clients = Clients(
            session.client("s3", config=AWS_CONFIG),
            session.client("glue", config=AWS_CONFIG),
            session.client("dynamodb", config=AWS_CONFIG),
        )
        summary = curate(clients, arguments, dt.datetime.now(dt.timezone.utc), make_engine)
        if not summary.dry_run:
            cloudwatch = session.client("cloudwatch", config=AWS_CONFIG)
            publish(cloudwatch, arguments.stage, summary, dt.datetime.now(dt.timezone.utc))
    except (CurateError, BotoCoreError) as error:
        sys.exit(f"curate: {error}")
    except Exception as error:  # a full disk, or a defect: the log has the details, and Glue shows the line
        logger.exception("the run cannot go on")
        sys.exit(f"curate: {type(error).__name__}: {error}")
    sys.stdout.write(msgspec.json.encode(summary).decode() + "\n")
