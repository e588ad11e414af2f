"""Grafana dashboards as code: ``python -m dashboards.grafana`` writes what Grafana is provisioned with."""
