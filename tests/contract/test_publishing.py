"""What no program of ours may do: publish attributes that SNS does not send."""

from __future__ import annotations

import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]

#: The fake SNS, which refuses it.
FAKE = "local/memory_aws/messages.py"


def test_should_publish_nothing_with_the_structure_json() -> None:
    """SNS sends attributes only with messages of the structure String; emulators send them with any.

    https://docs.aws.amazon.com/sns/latest/dg/sns-message-attributes.html
    """
    listed = subprocess.run(["git", "ls-files", "*.py"], cwd=ROOT, capture_output=True, text=True, check=True)
    ours = [name for name in listed.stdout.split() if not name.startswith("tests/") and name != FAKE]
    assert "lambdas/store/topic.py" in ours
    assert [name for name in ours if "MessageStructure" in (ROOT / name).read_text()] == []
