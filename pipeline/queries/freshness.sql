-- title: Freshness by site
-- description: The newest curated reading of each site that sent in the last 7 days, and how old it is; stalest first
WITH newest AS (
    SELECT site, count(DISTINCT device_id) AS devices, max(last_seen) AS newest_reading
    FROM device_health
    WHERE dt >= CAST(CAST(current_date - interval '7' day AS date) AS varchar)
    GROUP BY site
)
SELECT
    site,
    devices,
    newest_reading,
    date_diff('minute', newest_reading, CAST(current_timestamp AT TIME ZONE 'UTC' AS timestamp)) AS minutes_old
FROM newest
ORDER BY newest_reading, site
