SELECT count(DISTINCT device_id) AS reporting
FROM device_health
WHERE
    dt >= CAST(CAST(current_date - interval '1' day AS date) AS varchar)
    AND last_seen >= CAST(current_timestamp AT TIME ZONE 'UTC' AS timestamp) - interval '1' day
    AND site IN (${site:singlequote})
