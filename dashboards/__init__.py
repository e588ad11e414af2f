"""CloudWatch alarms and dashboard, Grafana dashboards and the Streamlit app, over one catalogue of metrics."""
