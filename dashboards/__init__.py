"""What people look at: CloudWatch now, Grafana and Streamlit to come."""
