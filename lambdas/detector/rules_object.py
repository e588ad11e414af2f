"""The rules in the config bucket, read again when they change."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aws_lambda_powertools import Logger
from botocore.exceptions import ClientError

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
        #: Why the object in the bucket is not in use; None while it is.
        self.broken: str | None = None

    def current(self) -> RuleSet:
        """The rules to use now; asks S3 at most every ``CHECK_EVERY`` seconds."""
        if self._rules is None or self._clock() - self._checked_at >= CHECK_EVERY:
            self._rules = self._refreshed(self._rules)
            self._checked_at = self._clock()
        return self._rules

    def _refreshed(self, last_good: RuleSet | None) -> RuleSet:
        try:
            response = self._client.get_object(Bucket=self._bucket, Key=self._key, IfNoneMatch=self._etag or '""')
        except ClientError as error:
            code = error.response["Error"]["Code"]
            if code == "304" and last_good:
                return last_good
            if code == "NoSuchKey":
                self._etag, self.broken = "", None
                return self._packaged
            raise
        self._etag = response["ETag"]
        try:
            rules = parse_rules(response["Body"].read())
        except RulesError as error:
            self.broken = str(error)
            logger.error("the rules object is broken; the last good rules stay in use", reason=self.broken)
            return last_good or self._last_good_version()
        self.broken = None
        logger.info("rules loaded", etag=self._etag, rules=len(rules.rules))
        return rules

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
