"""The CDK app: settings and target in, stacks out. The CDK command line runs it: see cdk.json."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping

from aws_cdk import App, Tags

from cdk.limits import refuse_pretence
from cdk.settings import Settings, SettingsError, load
from cdk.stacks.alerts import AlertsStack
from cdk.stacks.batch import BatchStack
from cdk.stacks.ingest import IngestStack
from cdk.stacks.lake import LakeStack
from cdk.stacks.monitoring import MonitoringStack
from cdk.target import Target, TargetError, detect
from pipeline.errors import PipelineError
from pipeline.names import Names


def build(app: App, settings: Settings, target: Target) -> None:
    """Put the stacks into ``app``, wired to each other; raises :class:`SettingsError` for what ``target`` cannot do."""
    refuse_pretence(settings, target)
    names = Names(settings.stage)
    ingest = IngestStack(app, settings=settings, names=names, target=target)
    lake = LakeStack(
        app,
        settings=settings,
        names=names,
        target=target,
        raw_bucket=ingest.raw_bucket,
        access_logs=ingest.access_logs,
    )
    alerts = AlertsStack(
        app,
        settings=settings,
        names=names,
        target=target,
        source=ingest.source,
        lake_bucket=lake.bucket,
        access_logs=ingest.access_logs,
    )
    BatchStack(
        app,
        settings=settings,
        names=names,
        target=target,
        raw_bucket=ingest.raw_bucket,
        lake_bucket=lake.bucket,
        config_bucket=alerts.config_bucket,
    )
    MonitoringStack(
        app,
        settings=settings,
        names=names,
        target=target,
        stream=ingest.watched,
        raw_bucket=ingest.raw_bucket,
        lake_bucket=lake.bucket,
        alerts=alerts,
    )
    Tags.of(app).add("project", "iot-pipeline")
    Tags.of(app).add("stage", settings.stage)


def main(environ: Mapping[str, str] = os.environ) -> int:
    """Synthesize and return the exit code; a user's mistake is one line on standard error."""
    try:
        target = detect(environ)
        # The check of the templates against CloudFormation's rules takes seconds, and is about AWS.
        app = App(builtin_cloud_formation_validation=target == "aws")
        build(app, load(app.node.get_all_context(), environ), target)
    except (SettingsError, TargetError, PipelineError) as error:
        print(f"cdk: {error}", file=sys.stderr)
        return 1
    app.synth()
    return 0


if __name__ == "__main__":
    sys.exit(main())
