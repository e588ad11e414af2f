-- title: Silent devices
-- description: Devices that are registered, or sent in the last 30 days, and of the last 24 hours have no reading
WITH seen AS (
    SELECT
        device_id,
        max_by(site, last_seen) AS site,
        max_by(model, last_seen) AS model,
        max(last_seen) AS last_reading
    FROM device_health
    WHERE dt >= CAST(CAST(current_date - interval '30' day AS date) AS varchar)
    GROUP BY device_id
)
SELECT
    coalesce(devices.device_id, seen.device_id) AS device_id,
    coalesce(devices.site, seen.site) AS site,
    coalesce(devices.model, seen.model) AS model,
    devices.device_id IS NOT NULL AS registered,
    devices.installed,
    seen.last_reading,
    date_diff('hour', seen.last_reading, CAST(current_timestamp AT TIME ZONE 'UTC' AS timestamp)) AS silent_hours
FROM seen
FULL OUTER JOIN devices ON devices.device_id = seen.device_id
WHERE
    seen.last_reading IS NULL
    OR seen.last_reading < CAST(current_timestamp AT TIME ZONE 'UTC' AS timestamp) - interval '1' day
ORDER BY last_reading NULLS FIRST, device_id
