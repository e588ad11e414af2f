"""The pipeline that the page shows: of ``--stage``, on the local AWS or, with ``--aws``, in the viewer's account."""

from __future__ import annotations

import argparse
import os
import sys
from typing import NamedTuple

import boto3
import streamlit as st
from botocore.credentials import Credentials
from botocore.session import get_session

from local.endpoint import require_loopback
from pipeline import deployment
from pipeline.deployment import Deployment
from pipeline.errors import PipelineError


class Source(NamedTuple):
    """The stage, and whether it is in an AWS account (or on the local AWS)."""

    stage: str
    aws: bool


def source() -> Source:
    """Parse the arguments after ``streamlit run main.py --``.

    Raises :class:`PipelineError` or :class:`~local.endpoint.LocalError` where neither ``--aws`` nor an endpoint on the
    loopback interface is given: nobody looks at an account by accident.
    """
    parser = argparse.ArgumentParser()
    parser.add_argument("--stage", default="dev")
    parser.add_argument("--aws", action="store_true")
    given = parser.parse_args(sys.argv[1:])
    if not given.aws:
        url = os.environ.get("AWS_ENDPOINT_URL", "")
        if not url:
            raise PipelineError("no AWS was chosen: start the page with 'iot dashboard', or 'iot --aws dashboard'")
        require_loopback(url)
    return Source(given.stage, given.aws)


def session() -> boto3.Session:
    """Return a session of this thread, as threads cannot share one, with the credentials that all share."""
    found = get_session()
    # Otherwise each session would assume its role, and ask for a code, again.
    found._credentials = _credentials()  # type: ignore[attr-defined]  # noqa: SLF001
    return boto3.Session(botocore_session=found)


@st.cache_resource(show_spinner=False)
def _credentials() -> Credentials | None:
    """Return the viewer's credentials; those of a role renew themselves."""
    return get_session().get_credentials()


@st.cache_data(ttl=60, show_spinner=False)
def deployed(chosen: Source) -> Deployment:
    """Return the chosen deployment; raises :class:`PipelineError` where there is none."""
    return deployment.find(session(), chosen.stage)


def sink(chosen: Source) -> str:
    """Return the name of the simulator's sink for the stream of readings."""
    return "kafka" if deployed(chosen).ingest == "msk" else "kinesis"
