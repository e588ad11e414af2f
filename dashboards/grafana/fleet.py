"""The dashboard of the fleet: reporting devices, completeness, batteries and a map."""

from __future__ import annotations

from grafana_foundation_sdk.builders import common as common_builders
from grafana_foundation_sdk.builders import geomap
from grafana_foundation_sdk.builders.dashboard import ThresholdsConfig
from grafana_foundation_sdk.models import common
from grafana_foundation_sdk.models.dashboard import Dashboard, ThresholdsMode
from grafana_foundation_sdk.models.geomap import TooltipMode

from dashboards.grafana.frame import Panels, Rows, frame
from dashboards.grafana.panels import Limits, graph, listing, number
from dashboards.grafana.queries import ATHENA, ask_athena

#: Shares of the readings that should be there, and hours without one.
_COMPLETE = Limits(warning=0.99, critical=0.95, falling=True)
_SILENT_HOURS = Limits(warning=1, critical=24)
_SILENT_DEVICES = Limits(warning=1, critical=10)


def fleet(runbooks: str) -> Dashboard:
    """Return the dashboard. It does not refresh by itself: Athena charges for each query, and tables change hourly."""
    rows: Rows = (
        ("Reporting devices", _sending()),
        ("Missing, late and invalid readings", _quality()),
        ("Batteries and temperatures", _condition()),
    )
    return frame(
        "fleet",
        "The devices, as the curated tables show them: as new as the last run of the curation",
        rows,
        since="now-7d",
        refresh="",
        runbooks=runbooks,
        of_sites=True,
        of_metrics=False,
    )


def _sending() -> Panels:
    return (
        number("Registered", "Devices in the registry", "fleet/registered", span=6),
        number("Reporting", "Devices with a reading of the last 24 hours", "fleet/reporting", span=6),
        number(
            "Silent",
            "Devices, registered or heard of in 30 days, without a reading of the last 24 hours",
            "fleet/silent",
            span=6,
            limits=_SILENT_DEVICES,
            rows_counted_by="device_id",
            runbooks=["curated-data-stale"],
        ),
        number(
            "Complete",
            "Share of the expected readings that were received in the time shown",
            "fleet/completeness-overall",
            unit="percentunit",
            span=6,
            limits=_COMPLETE,
        ),
        _map(),
        listing(
            "Silent devices",
            "Without a reading of the last 24 hours; first those that never sent one within 30 days",
            "fleet/silent",
            units={"silent_for": "s"},
        ),
    )


def _map() -> geomap.Panel:
    markers = {
        "style": {
            "color": {"field": "silent_hours"},
            "size": {"fixed": 6},
            "symbol": {"mode": "fixed", "fixed": "img/icons/marker/circle.svg"},
            "opacity": 0.8,
        },
        "showLegend": True,
    }
    return (
        geomap.Panel()
        .title("Map of the devices")
        .description("By the registry; coloured by the hours since the last reading, at most 720")
        .datasource(ATHENA)
        .with_target(ask_athena("fleet/map"))
        .span(12)
        .height(8)
        .unit("h")
        .thresholds(ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(_SILENT_HOURS.steps))
        .view(geomap.MapViewConfig().id("fit").all_layers(True))
        .basemap(common_builders.MapLayerOptions().type("default").name("Map"))
        .controls(geomap.ControlsOptions().show_zoom(True).show_attribution(True).mouse_wheel_zoom(True))
        .tooltip(geomap.TooltipOptions().mode(TooltipMode.DETAILS))
        .layers(
            [
                common_builders.MapLayerOptions()
                .type("markers")
                .name("Devices")
                .config(markers)
                .location(
                    common_builders.FrameGeometrySource()
                    .mode(common.FrameGeometrySourceMode.COORDS)
                    .latitude("latitude")
                    .longitude("longitude")
                )
                .tooltip(True)
            ]
        )
    )


def _quality() -> Panels:
    return (
        graph(
            "Completeness, by site",
            "Readings received of those expected, by the day (UTC)",
            "fleet/completeness",
            unit="percentunit",
        ),
        graph(
            "Devices and readings",
            "By the hour of the event: devices heard, readings, missing by seq, repeated, and with the status fault",
            "fleet/hourly",
        ),
        graph(
            "Lateness, by site",
            "The 95th percentile of arrival minus event time, of the device where it is largest, by the day",
            "fleet/lateness",
            unit="s",
        ),
        graph(
            "Lines that are not valid readings",
            "By the hour of arrival and the reason, of all sites",
            "fleet/quarantine",
            bars=True,
            runbooks=["rejected-readings"],
        ),
        listing(
            "Least complete",
            "The 20 least complete devices in the time shown",
            "fleet/least-complete",
            span=24,
            units={"complete": "percentunit"},
        ),
    )


def _condition() -> Panels:
    return (
        graph(
            "Lowest battery, by site",
            "The lowest last voltage of a day",
            "fleet/battery-by-site",
            unit="volt",
        ),
        listing(
            "Batteries",
            "The 20 lowest; days until 2.4 V by the trend of the days that are shown, empty where it does not fall",
            "fleet/batteries",
            units={"volts": "volt", "volts_a_day": "volt", "days_left": "d"},
        ),
        graph(
            "Mean temperature, by site",
            "Of all devices there, by the hour of the event",
            "fleet/temperature",
            unit="celsius",
            floor=None,
        ),
    )
