"""The tables of the functions as the stack makes them, in moto."""

from __future__ import annotations

from typing import TYPE_CHECKING

import boto3

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import AttributeDefinitionTypeDef, KeySchemaElementTypeDef


def create_state_table(name: str = "states") -> DynamoDBClient:
    """Create the table of alert states; return the client that did."""
    return _create(name, "gateway", "part")


def create_group_table(name: str = "groups") -> DynamoDBClient:
    """Create the table of notification groups; return the client that did."""
    return _create(name, "group")


def _create(name: str, partition_key: str, *sort_key: str) -> DynamoDBClient:
    """Create a table with text keys and the index of what is due."""
    keys: list[KeySchemaElementTypeDef] = [{"AttributeName": partition_key, "KeyType": "HASH"}]
    keys += [{"AttributeName": key, "KeyType": "RANGE"} for key in sort_key]
    attributes: list[AttributeDefinitionTypeDef] = [
        {"AttributeName": key, "AttributeType": "S"} for key in (partition_key, *sort_key)
    ]
    client = boto3.client("dynamodb")
    client.create_table(
        TableName=name,
        KeySchema=keys,
        AttributeDefinitions=[
            *attributes,
            {"AttributeName": "timer", "AttributeType": "N"},
            {"AttributeName": "due", "AttributeType": "N"},
        ],
        GlobalSecondaryIndexes=[
            {
                "IndexName": "due",
                "KeySchema": [
                    {"AttributeName": "timer", "KeyType": "HASH"},
                    {"AttributeName": "due", "KeyType": "RANGE"},
                ],
                "Projection": {"ProjectionType": "KEYS_ONLY"},
            }
        ],
        BillingMode="PAY_PER_REQUEST",
    )
    return client
