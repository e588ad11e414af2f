"""Errors of a deployed pipeline, for a person."""


class PipelineError(Exception):
    """Something a person can mend; the message is one line that says what, where and what to do."""
