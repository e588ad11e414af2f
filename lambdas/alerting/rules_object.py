"""The rules in the config bucket, read again when they change."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aws_lambda_powertools import Logger
from botocore.exceptions import BotoCoreError, ClientError

from telemetry.rules import RulesError, RuleSet, parse_rules

if TYPE_CHECKING:
    from collections.abc import Callable

    from mypy_boto3_s3 import S3Client

#: How old the rules in memory may be, in seconds.
CHECK_EVERY = 15.0

logger = Logger(child=True)


class RulesObject:
    """The newest rules that parse.

    Until there is an object, the rules packaged with the function hold. A broken object keeps the last
    good rules: those in memory or, in a new execution environment, the newest earlier version that parses.
    So does a bucket that cannot be read, for as long as there are rules in memory.
    """

    def __init__(
        self, client: S3Client, bucket: str, key: str, *, packaged: RuleSet, clock: Callable[[], float]
    ) -> None:
        self._client = client
        self._bucket = bucket
        self._key = key
        self._packaged = packaged
        self._clock = clock
        self._checked_at = float("-inf")
        self._etag = ""
        self._rules: RuleSet | None = None
        self._rejected: str | None = None
        self._unreadable: str | None = None

    @property
    def broken(self) -> str | None:
        """Why the object in the bucket is not in use; None while it is."""
        return self._unreadable or self._rejected

    def current(self) -> RuleSet:
        """The rules to use now; asks S3 at most every ``CHECK_EVERY`` seconds."""
        if self._rules is None or self._clock() - self._checked_at >= CHECK_EVERY:
            self._rules = self._refreshed(self._rules)
            self._checked_at = self._clock()
        return self._rules

    def _refreshed(self, last_good: RuleSet | None) -> RuleSet:
        try:
            response = self._client.get_object(Bucket=self._bucket, Key=self._key, IfNoneMatch=self._etag or '""')
            text = response["Body"].read()
        except (ClientError, BotoCoreError) as error:
            return self._without_object(error, last_good)
        self._etag, self._unreadable, self._rejected = response["ETag"], None, None
        try:
            rules = parse_rules(text)
        except RulesError as error:
            self._rejected = str(error)
            logger.error("the rules object is broken; the last good rules stay in use", reason=self._rejected)
            return last_good or self._last_good_version()
        logger.info("rules loaded", etag=self._etag, rules=len(rules.rules))
        return rules

    def _without_object(self, error: Exception, last_good: RuleSet | None) -> RuleSet:
        """The rules when S3 gave no object; raises ``error`` where there are none to go on with."""
        code = error.response["Error"]["Code"] if isinstance(error, ClientError) else ""
        if code == "304" and last_good:
            self._unreadable = None
            return last_good
        if code == "NoSuchKey":
            self._etag, self._unreadable, self._rejected = "", None, None
            return self._packaged
        if last_good is None:
            raise error
        self._unreadable = str(error)
        logger.error("the rules object cannot be read; the last good rules stay in use", reason=self._unreadable)
        return last_good

    def _last_good_version(self) -> RuleSet:
        listing = self._client.list_object_versions(Bucket=self._bucket, Prefix=self._key, MaxKeys=50)
        for version in listing.get("Versions", []):
            if version["Key"] != self._key:
                continue
            old = self._client.get_object(Bucket=self._bucket, Key=self._key, VersionId=version["VersionId"])
            try:
                return parse_rules(old["Body"].read())
            except RulesError:
                continue
        return self._packaged
