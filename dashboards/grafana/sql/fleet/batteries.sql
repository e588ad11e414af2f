-- A line through the days that are shown, and where there are too few for one, that through the last day's readings.
WITH trends AS (
    SELECT
        device_id,
        max_by(site, dt) AS site,
        max_by(model, dt) AS model,
        max_by(battery_last, dt) AS volts,
        CASE
            WHEN count(*) >= 3 THEN regr_slope(battery_last, date_diff('day', DATE '2020-01-01', CAST(dt AS date)))
            ELSE max_by(battery_trend, dt)
        END AS volts_a_day
    FROM device_health
    WHERE
        dt BETWEEN $__rawTimeFrom('yyyy-MM-dd') AND $__rawTimeTo('yyyy-MM-dd')
        AND site IN (${site:singlequote})
        AND battery_last IS NOT NULL
    GROUP BY device_id
)
SELECT
    device_id,
    site,
    model,
    volts,
    volts_a_day,
    CASE WHEN volts <= 2.4e0 THEN 0e0 WHEN volts_a_day < 0 THEN (volts - 2.4e0) / -volts_a_day END AS days_left
FROM trends
ORDER BY volts, device_id
LIMIT 20
