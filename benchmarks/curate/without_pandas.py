"""Has no pandas found, as where the job runs: DuckDB and PyArrow would import it, which takes a second."""

from __future__ import annotations

import sys
from importlib.abc import MetaPathFinder


class _WithoutPandas(MetaPathFinder):
    def find_spec(self, fullname: str, *_: object) -> None:
        """Raises ModuleNotFoundError for pandas; leaves all others to the next finder."""
        if fullname == "pandas":
            raise ModuleNotFoundError("the job runs without pandas", name=fullname)


def hide_pandas() -> None:
    """From now on, in this process, there is no pandas to import."""
    sys.meta_path.insert(0, _WithoutPandas())
