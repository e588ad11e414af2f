"""Glue's catalog in memory."""

from __future__ import annotations

from typing import Any

from local.memory_aws.faults import Faults
from local.memory_aws.s3 import OnePage


class Glue:
    """Tables with partitions by one key. All partitions are listed, whatever the expression asks for."""

    def __init__(self, faults: Faults) -> None:
        self._faults = faults
        self._tables: dict[str, dict[str, Any]] = {}
        self._partitions: dict[str, dict[str, dict[str, Any]]] = {}

    def create_database(self, **_: Any) -> None:
        """https://docs.aws.amazon.com/glue/latest/webapi/API_CreateDatabase.html"""

    def create_table(self, **request: Any) -> None:
        table = request["TableInput"]
        self._tables[table["Name"]], self._partitions[table["Name"]] = table, {}

    def get_table(self, **request: Any) -> dict[str, Any]:
        return self._faults.call("GetTable", lambda: {"Table": self._tables[request["Name"]]})

    def get_partitions(self, **request: Any) -> dict[str, Any]:
        partitions = self._partitions[request["TableName"]]
        return self._faults.call("GetPartitions", lambda: {"Partitions": list(partitions.values())})

    def get_paginator(self, operation: str) -> OnePage:
        assert operation == "get_partitions"
        return OnePage(self.get_partitions)

    def batch_create_partition(self, **request: Any) -> dict[str, Any]:
        partitions = self._partitions[request["TableName"]]

        def create() -> dict[str, Any]:
            for entry in request["PartitionInputList"]:
                assert entry["Values"][0] not in partitions
                partitions[entry["Values"][0]] = entry
            return {}

        return self._faults.call("BatchCreatePartition", create)

    def batch_update_partition(self, **request: Any) -> dict[str, Any]:
        partitions = self._partitions[request["TableName"]]

        def update() -> dict[str, Any]:
            for entry in request["Entries"]:
                assert entry["PartitionValueList"][0] in partitions
                partitions[entry["PartitionValueList"][0]] = entry["PartitionInput"]
            return {}

        return self._faults.call("BatchUpdatePartition", update)
