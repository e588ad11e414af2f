"""The script that Streamlit runs: the pages and the sidebar. ``iot dashboard`` starts it.

Or ``streamlit run dashboards/app/main.py -- --aws --stage prod``, as in a container that has a role.
"""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from dashboards.app import page
from dashboards.app.pipeline_in_use import source
from dashboards.app.views import alerts, device, fleet, live, pipeline, quality

st.set_page_config(page_title="IoT pipeline", page_icon=str(Path(__file__).parent / "icon.png"), layout="wide")

chosen = st.navigation(
    [
        st.Page(live.live, title="Live", icon=":material/sensors:", default=True),
        st.Page(fleet.fleet, title="Fleet", icon=":material/device_hub:", url_path="fleet"),
        st.Page(device.device, title="Device", icon=":material/device_thermostat:", url_path="device"),
        st.Page(alerts.alerts, title="Alerts", icon=":material/notifications:", url_path="alerts"),
        st.Page(quality.quality, title="Quality", icon=":material/verified:", url_path="quality"),
        st.Page(pipeline.pipeline, title="Pipeline", icon=":material/conversion_path:", url_path="pipeline"),
    ]
)
page.choose_time_zone()


def _where() -> None:
    used = source()
    st.sidebar.caption(f"stage **{used.stage}** on {'AWS' if used.aws else 'the local AWS'}")


page.guarded(_where)
chosen.run()
