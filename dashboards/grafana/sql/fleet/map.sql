WITH seen AS (
    SELECT device_id, max(last_seen) AS last_reading, max_by(battery_last, last_seen) AS volts
    FROM device_health
    WHERE dt >= CAST(CAST(current_date - interval '30' day AS date) AS varchar)
    GROUP BY device_id
)
SELECT
    devices.device_id,
    devices.site,
    devices.model,
    devices.latitude,
    devices.longitude,
    seen.last_reading,
    date_diff(
        'hour',
        coalesce(seen.last_reading, CAST(current_timestamp AT TIME ZONE 'UTC' AS timestamp) - interval '30' day),
        CAST(current_timestamp AT TIME ZONE 'UTC' AS timestamp)
    ) AS silent_hours,
    seen.volts
FROM devices
LEFT JOIN seen ON seen.device_id = devices.device_id
WHERE devices.latitude IS NOT NULL AND devices.longitude IS NOT NULL AND devices.site IN (${site:singlequote})
ORDER BY silent_hours DESC, devices.device_id
