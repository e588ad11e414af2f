"""Parameters of a plan: what the stacks deploy, what was measured, and what is assumed."""

from __future__ import annotations

import datetime as dt

from planning import prices
from planning.prices import SECONDS_A_MONTH

# What the stacks deploy, in their numbers; tests/infra/test_plan.py holds them to the templates.

MEMORY_GB = 0.5
PARALLELIZATION = 2
RULES_EVERY_SECONDS = 15
#: The detector, and Firehose.
CONSUMERS = 2
#: Of the cluster and its topic by default, and the pollers that the event source mapping has at least.
KAFKA_BROKERS = 3
KAFKA_BROKER_TYPE = "express.m7g.large"
KAFKA_PARTITIONS = 6
POLLERS = 1
#: Interface endpoints in the cluster's VPC: for SQS, to which the event source mapping reports failures.
ENDPOINTS = 1
STREAM_RETENTION = dt.timedelta(hours=24)
#: Topics that a notification is published to: for programs, and for people.
TOPICS = 2
#: Of ``prod``, as everything here that depends on the stage.
BUFFER_SECONDS = 300
BUFFER_BYTES = 128 * prices.MIB
ARCHIVED_AFTER = dt.timedelta(days=35)
#: What Glacier Instant Retrieval bills at least; raw objects kept less than this longer are not archived.
ARCHIVED_FOR = dt.timedelta(days=90)
KEYS = 2
DASHBOARDS = 1
#: Some: alarms on expressions count once for each metric in them, a severity and a reason are metrics of their own.
ALARM_METRICS = 25
CUSTOM_METRICS = 50

#: Characters of base64 per byte: records in an event of Lambda.
BASE64 = 4 / 3

# Measured here, with the simulator's scenario "calm" (5,000 devices, every 10 s, 1.5 million readings): docs/plan.md.

#: What gzip at its default level makes of JSON lines.
COMPRESSION = 8.6
#: All curated tables together: the columns of a reading are the same however long its JSON is.
CURATED_BYTES_A_READING = 8.6
#: Soft state of a gateway under the shipped rules, which look at no windows, and of a device with one window more.
SOFT_BYTES = (75, 7.7)
WINDOW_BYTES = 230

# Assumed, from benchmarks on other machines; nothing of it has been measured on AWS.

#: The detector's seconds at 512 MB, 0.29 of a processor: for an invocation, with its read of states; for a record; for
#: a reading; for a gateway's soft state, read and written once a minute.
SECONDS_AN_INVOCATION, SECONDS_A_RECORD, SECONDS_A_READING, SECONDS_A_SOFT_WRITE = 0.012, 1e-4, 8e-6, 0.01
#: A run of the watchdog and of the notifier.
SECONDS_A_RUN = 0.3
#: Python shell, of one DPU; Spark, of ten with the driver's. Seconds to install the modules; readings a second.
STARTUP_SECONDS = 30
SHELL_DPU, SHELL_READINGS = 1, 380_000
SPARK_DPU, SPARK_READINGS = 10, 1_800_000
#: A run that takes longer than half its limit of an hour is to be Spark's.
SHELL_AT_MOST_SECONDS = 1_800
RUN_AT_MOST_SECONDS = 3_600
#: A run at ten past curates the last hour, and the ten minutes before it anew.
CURATED_AGAIN = 70 / 60
WRITES_A_RUN = 200

# Of an alert that fires and resolves (docs/alerting.md): units for its state and as many for its group; requests to
# the queue: three changes and two wakes, each sent, received and deleted; runs of the notifier; notifications.
WRITE_UNITS_AN_ALERT = 24
REQUESTS_AN_ALERT = 15
RUNS_AN_ALERT = 5
CHANGES_AN_ALERT = 3
NOTIFICATIONS_AN_ALERT = 2
#: Five long polls of 20 s on an idle queue.
POLLS = 5 * SECONDS_A_MONTH / 20

#: Events of an invocation in CloudWatch Logs: its metrics (EMF, 542 bytes), its start and its report.
LOG_BYTES = 1_200

#: The part of a day's curated readings that a query reads.
QUERY_SHARE = 0.25
