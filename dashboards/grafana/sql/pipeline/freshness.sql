-- As the named query freshness has it: the sites that sent in the last 7 days.
SELECT
    site,
    count(DISTINCT device_id) AS devices,
    max(last_seen) AS newest_reading,
    date_diff('second', max(last_seen), CAST(current_timestamp AT TIME ZONE 'UTC' AS timestamp)) AS age
FROM device_health
WHERE dt >= CAST(CAST(current_date - interval '7' day AS date) AS varchar)
GROUP BY site
ORDER BY newest_reading, site
