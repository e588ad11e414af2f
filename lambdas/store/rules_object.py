"""The rules and the registry of devices in the config bucket, read again when they change."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar

from aws_lambda_powertools import Logger
from botocore.exceptions import BotoCoreError, ClientError

from telemetry.registry.registry import EMPTY, Registry, RegistryError, parse_registry
from telemetry.rules.parse import parse_rules
from telemetry.rules.rule_set import RuleSet
from telemetry.text.errors import TextError

if TYPE_CHECKING:
    from collections.abc import Callable

    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import GetObjectOutputTypeDef

#: Longest age of the rules in memory, in seconds.
CHECK_EVERY = 15.0

logger = Logger(child=True)

T = TypeVar("T")


class Version(NamedTuple):
    """The version of an object that is in use, and when it was written; empty for the default."""

    etag: str = ""
    version_id: str = ""
    written: dt.datetime = dt.datetime.min.replace(tzinfo=dt.UTC)


class RulesObject:
    """The newest valid rules, with the newest valid registry.

    Until there is an object, the rules packaged with the function are used, and no device is registered. While an
    object is invalid, the last good one is used: the one in memory or, in a new execution environment, the newest
    earlier version that parses. While the bucket cannot be read, the one in memory is used. Rules that cannot be used
    with a new registry are invalid too: those in memory stay, with the registry that they were parsed with.
    """

    def __init__(
        self,
        client: S3Client,
        bucket: str,
        key: str,
        registry_key: str,
        *,
        packaged: RuleSet,
        packaged_etag: str = "",
        clock: Callable[[], float],
    ) -> None:
        self._registry = _ConfigObject(client, bucket, registry_key, parse=parse_registry, default=EMPTY)
        self._registry_in_use = Version()
        self._packaged = Version(packaged_etag)
        self._rules = _ConfigObject(client, bucket, key, parse=self._parsed, default=packaged)
        self._clock = clock
        self._checked_at = float("-inf")

    @property
    def broken(self) -> str | None:
        """The reason why an object in the bucket is not in use; None while both are."""
        return self._rules.broken or self._registry.broken

    @property
    def versions(self) -> tuple[Version, Version]:
        """Return the versions of the rules and of the registry that are in use."""
        return self._rules.version if self._rules.version.etag else self._packaged, self._registry_in_use

    def registry_at(self, version_id: str) -> Registry | None:
        """Return an earlier registry; None where S3 does not have it any more."""
        return self._registry.at(version_id)

    def current(self) -> RuleSet:
        """Return the rules to use now; ask S3 at most every ``CHECK_EVERY`` seconds."""
        rules = last = self._rules.value
        if rules is None or self._clock() - self._checked_at >= CHECK_EVERY:
            before = self._registry.value
            if self._registry.refreshed() is not before:
                self._rules.forget()
            rules = self._rules.refreshed()
            if rules is not last:
                self._registry_in_use = self._registry.version
            self._checked_at = self._clock()
        return rules

    def _parsed(self, text: bytes) -> RuleSet:
        return parse_rules(text, self._registry.value or EMPTY)


class _ConfigObject(Generic[T]):
    """An object of the config bucket. ``value`` is the last valid one, ``default`` is used while there is no object."""

    def __init__(self, client: S3Client, bucket: str, key: str, *, parse: Callable[[bytes], T], default: T) -> None:
        self._client = client
        self._bucket = bucket
        self._key = key
        self._parse = parse
        self._default = default
        self._etag = ""
        self._rejected: str | None = None
        self._unreadable: str | None = None
        self.version = Version()
        self.value: T | None = None

    @property
    def broken(self) -> str | None:
        """The reason why the object is not in use; None while it is."""
        return self._unreadable or self._rejected

    def forget(self) -> None:
        """Parse the object again next time, even if it has not changed by then."""
        self._etag = ""

    def refreshed(self) -> T:
        """Ask S3 and return the value now."""
        self.value = self._refreshed(self.value)
        return self.value

    def _refreshed(self, last_good: T | None) -> T:
        try:
            response = self._client.get_object(Bucket=self._bucket, Key=self._key, IfNoneMatch=self._etag or '""')
            text = response["Body"].read()
        except (ClientError, BotoCoreError) as error:
            return self._without_object(error, last_good)
        self._etag, self._unreadable, self._rejected = response["ETag"], None, None
        try:
            value = self._parse(text)
        except (TextError, RegistryError) as error:
            self._rejected = str(error)
            logger.error(
                "an object in the config bucket is broken; the last good one stays in use",
                key=self._key,
                reason=self._rejected,
            )
            return self._last_good_version() if last_good is None else last_good
        self.version = _version(response)
        logger.info("loaded from the config bucket", key=self._key, etag=self._etag)
        return value

    def _without_object(self, error: Exception, last_good: T | None) -> T:
        """Return the value when S3 gave no object; raises ``error`` if there is none to go on with."""
        code = error.response["Error"]["Code"] if isinstance(error, ClientError) else ""
        if code == "304" and last_good is not None:
            self._unreadable = None
            return last_good
        if code == "NoSuchKey":
            self._etag, self._unreadable, self._rejected, self.version = "", None, None, Version()
            return self._default
        if last_good is None:
            raise error
        self._unreadable = str(error)
        logger.error(
            "an object in the config bucket cannot be read; the last good one stays in use",
            key=self._key,
            reason=self._unreadable,
        )
        return last_good

    def _last_good_version(self) -> T:
        listing = self._client.list_object_versions(Bucket=self._bucket, Prefix=self._key, MaxKeys=50)
        for version in listing.get("Versions", []):
            if version["Key"] != self._key:
                continue
            old = self._client.get_object(Bucket=self._bucket, Key=self._key, VersionId=version["VersionId"])
            try:
                value = self._parse(old["Body"].read())
            except (TextError, RegistryError):
                continue
            self.version = _version(old)
            return value
        return self._default

    def at(self, version_id: str) -> T | None:
        """Return the value of an earlier version; None where S3 does not have it any more, or it is broken."""
        try:
            old = self._client.get_object(Bucket=self._bucket, Key=self._key, VersionId=version_id)
            return self._parse(old["Body"].read())
        except (TextError, RegistryError):
            return None
        except ClientError as error:
            if error.response["Error"]["Code"] not in {"NoSuchVersion", "NoSuchKey"}:
                raise
            return None


def _version(response: GetObjectOutputTypeDef) -> Version:
    return Version(response["ETag"], response.get("VersionId", ""), response["LastModified"])
