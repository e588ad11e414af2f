"""Saved queries in Athena's console, the same as those of ``iot query --name``."""

from __future__ import annotations

from aws_cdk import aws_athena as athena
from constructs import Construct

from pipeline.named_queries import load


class NamedQueries(Construct):
    """A saved query for each file of ``pipeline/queries``, in a workgroup."""

    def __init__(self, scope: Construct, construct_id: str, *, workgroup: str, database: str) -> None:
        super().__init__(scope, construct_id)
        for query in load():
            athena.CfnNamedQuery(
                self,
                "".join(word.capitalize() for word in query.name.split("-")),
                name=query.name,
                description=f"{query.title}: {query.description}",
                database=database,
                work_group=workgroup,
                query_string=query.sql,
            )
