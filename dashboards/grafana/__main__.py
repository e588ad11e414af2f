"""Write the dashboards into the folder that Grafana is provisioned from."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path

from grafana_foundation_sdk.cog.encoder import JSONEncoder

from dashboards.grafana.alerts import alerts
from dashboards.grafana.fleet import fleet
from dashboards.grafana.frame import RUNBOOKS
from dashboards.grafana.pipeline import pipeline

PROVISIONED = Path(__file__).parent / "provisioned" / "dashboards"


def documents(runbooks: str = RUNBOOKS) -> Mapping[str, str]:
    """Return the dashboards as JSON, by file name; ``runbooks`` is the URL of the folder of runbooks."""
    encoder = JSONEncoder(sort_keys=True, indent=2, ensure_ascii=False)
    boards = {"pipeline": pipeline(runbooks), "fleet": fleet(runbooks), "alerts": alerts(runbooks)}
    return {f"{name}.json": encoder.encode(board) + "\n" for name, board in boards.items()}


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m dashboards.grafana", description=__doc__)
    parser.add_argument("--runbooks", default=RUNBOOKS, help="the folder docs/runbooks, as a URL that people can open")
    arguments = parser.parse_args()
    for name, document in documents(arguments.runbooks.rstrip("/")).items():
        (PROVISIONED / name).write_text(document, encoding="utf-8")
        print(PROVISIONED / name)


if __name__ == "__main__":
    main()
