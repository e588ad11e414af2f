"""What all tiers share: hypothesis profiles and the dummy AWS environment of everything local."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

# No test may ever reach a real account: whatever credentials the shell has are not there.
for name in [name for name in os.environ if name.startswith("AWS_")]:
    del os.environ[name]
os.environ |= {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    "AWS_EC2_METADATA_DISABLED": "true",
}

# Shared machines are noisy: examples are counted, not timed. The same ones each time, so that whoever changes something
# else is not stopped by a corner nobody had seen; to look for new ones: HYPOTHESIS_PROFILE=explore pytest tests/unit
for profile, derandomize in (("ci", True), ("explore", False)):
    settings.register_profile(
        profile,
        deadline=None,
        derandomize=derandomize,
        suppress_health_check=[HealthCheck.too_slow],
        print_blob=True,
    )
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))
