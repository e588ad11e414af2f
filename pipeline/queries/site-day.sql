-- title: Today by site
-- description: What each site sent today (UTC) until the last run of the curation
SELECT
    site,
    devices,
    received,
    duplicates,
    status_degraded,
    status_fault,
    temperature_min,
    temperature_mean,
    temperature_max,
    humidity_mean,
    battery_min
FROM site_daily
WHERE dt = CAST(CAST(current_timestamp AT TIME ZONE 'UTC' AS date) AS varchar)
ORDER BY site
