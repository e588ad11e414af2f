"""Lambda's event source mapping from the stream to the detector: its numbers, for Kinesis and for Kafka.

The CDK app deploys them, the plan counts with them, and the local bridge from Kafka works by them.
"""

from __future__ import annotations

#: The most records of an invocation, and how long to wait for them.
BATCH_RECORDS = 100
BATCH_WINDOW_SECONDS = 1

#: The bytes of an event, whose records are base64.
#: https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
EVENT_BYTES = 6 * 1024 * 1024

#: How often a batch is retried that goes on failing, before it is given up.
RETRIES = 100

#: The longest that Lambda lets a mapping wait for a record: seven days.
#: https://docs.aws.amazon.com/lambda/latest/api/API_CreateEventSourceMapping.html
MAX_RECORD_AGE_HOURS = 7 * 24
