-- As the named query silent-devices has them.
WITH seen AS (
    SELECT
        device_id,
        max_by(site, last_seen) AS site,
        max_by(model, last_seen) AS model,
        max(last_seen) AS last_reading
    FROM device_health
    WHERE dt >= CAST(CAST(current_date - interval '30' day AS date) AS varchar)
    GROUP BY device_id
),
everyone AS (
    SELECT
        coalesce(devices.device_id, seen.device_id) AS device_id,
        coalesce(devices.site, seen.site) AS site,
        coalesce(devices.model, seen.model) AS model,
        seen.last_reading
    FROM seen
    FULL OUTER JOIN devices ON devices.device_id = seen.device_id
)
SELECT
    device_id,
    site,
    model,
    last_reading,
    date_diff('second', last_reading, CAST(current_timestamp AT TIME ZONE 'UTC' AS timestamp)) AS silent_for
FROM everyone
WHERE
    site IN (${site:singlequote})
    AND (
        last_reading IS NULL
        OR last_reading < CAST(current_timestamp AT TIME ZONE 'UTC' AS timestamp) - interval '1' day
    )
ORDER BY last_reading NULLS FIRST, device_id
