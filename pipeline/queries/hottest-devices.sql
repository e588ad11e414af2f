-- title: Hottest devices
-- description: The 20 devices with the highest temperatures of the last 7 days, the hour it was in, and their means
SELECT
    device_id,
    max_by(site, temperature_max) AS site,
    max(temperature_max) AS hottest_celsius,
    max_by(hour_start, temperature_max) AS hour_start,
    sum(temperature_mean * temperature_count) / sum(temperature_count) AS mean_celsius,
    sum(temperature_count) AS readings
FROM readings_hourly
WHERE dt >= CAST(CAST(current_date - interval '7' day AS date) AS varchar) AND temperature_count > 0
GROUP BY device_id
ORDER BY hottest_celsius DESC, device_id
LIMIT 20
