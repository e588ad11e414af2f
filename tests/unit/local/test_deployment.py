"""What the CDK command line's output says about progress."""

import pytest

from local.deployment import Progress, _progress


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (
            "iot-dev-ingest |  3/12 | 1:40:26 PM | CREATE_COMPLETE      | AWS::Kinesis::Stream | Stream (Stream790)",
            Progress("iot-dev-ingest", 3, 12, finished=False),
        ),
        (
            "iot-dev-lake | 0/3 | 13:40:26 | CREATE_FAILED        | AWS::S3::Bucket | Lake it exists",
            Progress("iot-dev-lake", 0, 3, finished=False),
        ),
        ("✅  iot-dev-lake", Progress("iot-dev-lake", 0, 0, finished=True)),
        ("✅  iot-dev-lake (no changes)", Progress("iot-dev-lake", 0, 0, finished=True)),
        ("✅  Environment aws://000000000000/us-east-1 bootstrapped.", None),
        ("iot-dev-lake: deploying... [1/3]", None),
        ("✨  Synthesis time: 5.51s", None),
        ("", None),
    ],
)
def test_should_read_progress_from_a_line(line: str, expected: Progress | None) -> None:
    assert _progress(line) == expected
