-- title: Batteries low soon
-- description: Devices whose battery is down to 2.4 V, or will be within 90 days by its trend of the last 14
WITH daily AS (
    SELECT
        device_id,
        site,
        model,
        dt,
        date_diff('day', DATE '2020-01-01', CAST(dt AS date)) AS day_number,
        battery_last,
        battery_trend
    FROM device_health
    WHERE dt >= CAST(CAST(current_date - interval '14' day AS date) AS varchar) AND battery_last IS NOT NULL
),
trends AS (
    SELECT
        device_id,
        max_by(site, dt) AS site,
        max_by(model, dt) AS model,
        count(*) AS days,
        max_by(battery_last, dt) AS volts,
        -- A line through the days, and where there are too few for one, that through the last day's readings.
        CASE WHEN count(*) >= 3 THEN regr_slope(battery_last, day_number) ELSE max_by(battery_trend, dt) END
            AS volts_a_day
    FROM daily
    GROUP BY device_id
)
SELECT
    device_id,
    site,
    model,
    days,
    volts,
    volts_a_day,
    CASE WHEN volts <= 2.4e0 THEN 0e0 ELSE (volts - 2.4e0) / -volts_a_day END AS days_left
FROM trends
WHERE volts <= 2.4e0 OR (volts_a_day < 0 AND (volts - 2.4e0) / -volts_a_day <= 90)
ORDER BY days_left, device_id
