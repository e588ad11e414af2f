"""Settings from context and environment, and what is said about those that cannot be used."""

from __future__ import annotations

import datetime as dt
from typing import get_args

import pytest
from aws_cdk import RemovalPolicy

from cdk.limits import refuse_pretence
from cdk.settings import STAGE_DEFAULTS, Settings, SettingsError, load
from cdk.target import Target
from pipeline.names import Stage
from telemetry.reading.model import MAX_LATENESS

EMULATORS: tuple[Target, ...] = ("ministack", "localstack")
CLUSTER = "arn:aws:kafka:eu-west-1:111122223333:cluster/theirs/abcd1234-abcd-cafe-abab-9876543210ab-4"
THEIRS = {"ingest": "msk", "kafka_cluster_arn": CLUSTER, "kafka_topic": "readings"}
#: Settings of one kind of stream, with values that are valid there.
KINESIS = [("stream_mode", "on_demand"), ("shards", "2")]
KAFKA = [
    ("kafka_partitions", "6"),
    ("kafka_broker_type", "express.m7g.large"),
    ("kafka_brokers", "3"),
    ("kafka_cluster_arn", CLUSTER),
    ("kafka_topic", "readings"),
    ("kafka_bootstrap", "127.0.0.1:9092"),
]


def test_should_deploy_to_dev_where_nothing_is_set() -> None:
    settings = load({}, {})

    assert (settings.stage, settings.stream_mode, settings.raw_retention_days) == ("dev", "on_demand", 35)


@pytest.mark.parametrize("stage", get_args(Stage))
def test_should_have_defaults_for_every_stage(stage: str) -> None:
    assert set(STAGE_DEFAULTS[stage]) <= set(Settings.__struct_fields__)
    assert load({"stage": stage}, {}).log_retention_days == STAGE_DEFAULTS[stage]["log_retention_days"]


def test_should_prefer_context_to_the_environment_and_both_to_the_stage() -> None:
    environ = {
        "IOT_PIPELINE_STAGE": "prod",
        "IOT_PIPELINE_RAW_RETENTION_DAYS": "500",
        "IOT_PIPELINE_LOG_RETENTION_DAYS": "30",
    }

    settings = load({"raw_retention_days": "700"}, environ)

    assert (settings.stage, settings.raw_retention_days, settings.log_retention_days) == ("prod", 700, 30)


def test_should_read_a_list_of_addresses() -> None:
    settings = load({"alert_emails": "a@example.com, b@example.com"}, {})

    assert settings.alert_emails == ("a@example.com", "b@example.com")


def test_should_take_an_empty_value_as_not_set() -> None:
    assert load({"shards": "", "alert_emails": ""}, {"IOT_PIPELINE_STAGE": ""}) == load({}, {})


def test_should_leave_the_cdks_own_context_and_others_variables_alone() -> None:
    context = {
        "@aws-cdk/core:flag": True,
        "aws:cdk:bundling-stacks": [],
        "aws-cdk:x": 1,
        "cdk-migrate": True,
        "cli-telemetry": False,
        "acknowledged-issue-numbers": [19836],
    }

    assert load(context, {"IOT_MTLS_ENABLED": "0", "HOME": "/root"}) == load({}, {})


def test_should_refuse_a_variable_that_is_no_setting() -> None:
    with pytest.raises(SettingsError, match=r"unknown setting stge; there are: "):
        load({}, {"IOT_PIPELINE_STGE": "prod"})


@pytest.mark.parametrize(
    ("context", "message"),
    [
        ({"stge": "prod"}, r"unknown setting stge; there are: .*alert_emails.*stage"),
        ({"stage": "production"}, r"stage=production is none of dev, staging, prod \(set with -c key=value or "),
        ({"stream_mode": "provisioned"}, r"needs shards, such as shards=2"),
        ({"shards": "2"}, r"shards goes with stream_mode=provisioned"),
        ({"shards": "0", "stream_mode": "provisioned"}, r">= 1.*shards"),
        ({"stream_retention_hours": "23"}, r">= 24.*stream_retention_hours"),
        ({"stream_retention_hours": "8761"}, r"<= 8760.*stream_retention_hours"),
        ({"raw_retention_days": "ten"}, r"raw_retention_days"),
        ({"raw_retention_days": "30"}, r">= 32.*raw_retention_days"),
        ({"log_retention_days": "15"}, r"log_retention_days=15 is none of 1, 3, .*14, 30"),
        ({"alert_emails": "nobody"}, r"alert_emails"),
        ({"curate_schedule": "rate(1 hour)"}, r"curate_schedule=rate\(1 hour\) is not a .*Glue has no rate\(\)"),
        ({"curate_schedule": "10 * * * ? *"}, r"is not a schedule of Glue: write cron\(Minutes Hours "),
        ({"curate_schedule": "cron(10 * * * *)"}, r"is not a schedule of Glue"),
        ({"curate_schedule": "cron(10 * * * * *)"}, r"with \? for one of the two days"),
        ({"curate_schedule": "cron(10 * ? * ? *)"}, r"with \? for one of the two days"),
        (
            {"curate_schedule": "cron(0 */6 * * ? *)"},
            r"curate_schedule=.* needs curated_stale_after_hours, .* such as 18 for a run every six hours, or 0",
        ),
        ({"curated_stale_after_hours": "-1"}, r">= 0.*curated_stale_after_hours"),
        ({"curated_stale_after_hours": "169"}, r"<= 168.*curated_stale_after_hours"),
        ({"etl_engine": "emr"}, r"etl_engine=emr is none of pythonshell, spark"),
        ({"raw_archive_after_days": "-1"}, r">= 0.*raw_archive_after_days"),
        (
            {"raw_archive_after_days": "35", "raw_retention_days": "124"},
            r"less than the 90 days .* keep them 125 days or more, or set raw_archive_after_days=0",
        ),
        ({"stage": "prod", "raw_retention_days": "90"}, r"raw_archive_after_days=35 and raw_retention_days=90"),
        (
            {"curated_archive_after_days": "40", "curated_retention_days": "40"},
            r"curated_archive_after_days=40 must be less than curated_retention_days=40, or 0",
        ),
        ({"athena_scan_limit_gb": "0.001"}, r">= 0.01.*athena_scan_limit_gb"),
        ({"delete_data_on_destroy": "yes please"}, r"delete_data_on_destroy"),
        ({"stage": "prod", "delete_data_on_destroy": "true"}, r"refused for stage=prod"),
        ({"ingest": "kafka"}, r"ingest=kafka is none of kinesis, msk"),
        *(
            ({"ingest": "msk", key: value}, rf"{key} goes with ingest=kinesis, not with ingest=msk")
            for key, value in KINESIS
        ),
        *(({key: value}, rf"{key} goes with ingest=msk, not with ingest=kinesis") for key, value in KAFKA),
        (
            {"ingest": "msk", "raw_buffer_seconds": "60"},
            r"raw_buffer_seconds=60 is too short .* every 300 to 900 seconds",
        ),
        ({"ingest": "msk", "kafka_partitions": "0"}, r">= 1.*kafka_partitions"),
        ({"ingest": "msk", "kafka_partitions": "2001"}, r"<= 2000.*kafka_partitions"),
        (
            {"ingest": "msk", "kafka_partitions": "1501"},
            r"more than 3 brokers of express.m7g.large have, which is 1500: set",
        ),
        ({"ingest": "msk", "kafka_brokers": "4"}, r"multiple of 3.*kafka_brokers"),
        ({"ingest": "msk", "kafka_brokers": "0"}, r">= 3.*kafka_brokers"),
        ({"ingest": "msk", "kafka_brokers": "33"}, r"<= 30.*kafka_brokers"),
        (
            {"ingest": "msk", "kafka_broker_type": "kafka.m7g.large"},
            r"kafka_broker_type=kafka.m7g.large is none of express",
        ),
        ({"ingest": "msk", "kafka_cluster_arn": CLUSTER}, r"kafka_cluster_arn and kafka_topic go together"),
        ({"ingest": "msk", "kafka_topic": "readings"}, r"kafka_cluster_arn and kafka_topic go together"),
        *(
            ({"ingest": "msk", "kafka_cluster_arn": arn, "kafka_topic": "readings"}, r"invalid kafka_cluster_arn=")
            for arn in ("theirs", CLUSTER.replace(":kafka:", ":kinesis:"), CLUSTER.replace(":cluster/", ":topic/"))
        ),
        (
            {"ingest": "msk", "kafka_cluster_arn": CLUSTER[:-1] + "s1", "kafka_topic": "readings"},
            r"is a cluster of MSK Serverless, which delivers no topic to S3; name a provisioned cluster",
        ),
        ({**THEIRS, "kafka_topic": "our readings"}, r"invalid kafka_topic=our readings: write 1 to 249 letters"),
        ({**THEIRS, "kafka_topic": ".."}, r"invalid kafka_topic="),
        ({**THEIRS, "kafka_brokers": "6"}, r"kafka_brokers is of a cluster to create, but kafka_cluster_arn names one"),
        *(
            ({"ingest": "msk", "kafka_bootstrap": address}, r"invalid kafka_bootstrap=.*such as 127.0.0.1:9092")
            for address in (
                "b-1.theirs.kafka.eu-west-1.amazonaws.com:9098",
                "10.0.0.7:9092",
                "127.0.0.1",
                "127.0.0.1:0",
            )
        ),
    ],
)
def test_should_say_what_is_wrong_with_a_setting(context: dict[str, str], message: str) -> None:
    with pytest.raises(SettingsError, match=message) as error:
        load(context, {})

    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("context", "hours"),
    [
        ({}, 3),
        ({"curated_stale_after_hours": "6"}, 6),
        ({"curate_schedule": "cron(0 3 ? * MON-FRI *)", "curated_stale_after_hours": "0"}, 0),
        ({"curate_schedule": "cron(0/15 * * JAN,JUL ? 2026)", "curated_stale_after_hours": "3"}, 3),
    ],
)
def test_should_know_when_tables_are_stale(context: dict[str, str], hours: int) -> None:
    assert load(context, {}).stale_after_hours == hours


def test_should_archive_in_production_what_late_readings_no_longer_reach() -> None:
    archived = {
        stage: (settings.raw_archive_after_days, settings.curated_archive_after_days)
        for stage, settings in ((stage, load({"stage": stage}, {})) for stage in get_args(Stage))
    }

    assert archived == {"dev": (0, 0), "staging": (0, 0), "prod": (35, 35)}
    assert dt.timedelta(days=archived["prod"][0]) > MAX_LATENESS


def test_should_take_raw_objects_that_stay_ninety_days_in_the_archive_and_those_that_never_go_there() -> None:
    assert load({"raw_archive_after_days": "35", "raw_retention_days": "125"}, {}).raw_retention_days == 125
    assert load({"stage": "prod", "raw_archive_after_days": "0", "raw_retention_days": "40"}, {})


def test_should_delete_data_with_its_stack_only_on_the_second_word() -> None:
    assert load({}, {}).data_removal == RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE
    assert load({"delete_data_on_destroy": "true"}, {}).data_removal == RemovalPolicy.DESTROY


def test_should_create_a_small_cluster_where_only_the_kind_of_stream_is_set() -> None:
    settings = load({"ingest": "msk"}, {})

    assert (settings.kafka_partitions, settings.kafka_brokers, settings.kafka_broker_type) == (
        6,
        3,
        "express.m7g.large",
    )
    assert settings.kafka_cluster_arn is None


@pytest.mark.parametrize("stage", get_args(Stage))
def test_should_deliver_a_topic_to_the_raw_zone_as_soon_as_msk_does(stage: str) -> None:
    assert load({"stage": stage, "ingest": "msk"}, {}).raw_buffer_seconds == 300
    assert load({"stage": stage, "ingest": "msk", "raw_buffer_seconds": "900"}, {}).raw_buffer_seconds == 900


def test_should_take_more_partitions_on_more_or_larger_brokers() -> None:
    assert load({"ingest": "msk", "kafka_partitions": "2000", "kafka_brokers": "6"}, {}).kafka_partitions == 2000
    assert load({"ingest": "msk", "kafka_partitions": "2000", "kafka_broker_type": "express.m7g.xlarge"}, {})
    # A cluster that exists has the topic's partitions already, however many its brokers have.
    assert load({**THEIRS, "kafka_partitions": "2000"}, {}).kafka_topic == "readings"


@pytest.mark.parametrize("address", ["127.0.0.1:9092", "localhost:19092", "[::1]:9092"])
def test_should_take_a_broker_on_this_machine(address: str) -> None:
    assert load({"ingest": "msk", "kafka_bootstrap": address}, {}).kafka_bootstrap == address


@pytest.mark.parametrize(
    ("target", "context", "message"),
    [
        (
            "aws",
            {"ingest": "msk", "kafka_bootstrap": "127.0.0.1:9092"},
            r"kafka_bootstrap is for emulators; leave it out",
        ),
        *((target, {"ingest": "msk"}, r"ingest=msk needs kafka_bootstrap on an emulator") for target in EMULATORS),
        *((target, THEIRS, r"kafka_cluster_arn is for AWS") for target in EMULATORS),
    ],
)
def test_should_refuse_a_broker_that_the_target_has_not(target: Target, context: dict[str, str], message: str) -> None:
    with pytest.raises(SettingsError, match=message) as error:
        refuse_pretence(load(context, {}), target)

    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("target", "context"),
    [
        ("aws", {"ingest": "msk"}),
        ("aws", THEIRS),
        *((target, {"ingest": "msk", "kafka_bootstrap": "127.0.0.1:9092"}) for target in EMULATORS),
    ],
)
def test_should_take_the_broker_that_the_target_has(target: Target, context: dict[str, str]) -> None:
    refuse_pretence(load(context, {}), target)
