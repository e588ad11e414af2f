-- title: The fleet by the hour
-- description: Yesterday and today, hour by hour: devices, readings, what is missing by seq, duplicates, temperature
SELECT
    hour_start,
    count(*) AS devices,
    sum(received) AS readings,
    sum(expected) - sum(received) AS missing,
    sum(duplicates) AS repeated,
    sum(status_fault) AS faults,
    sum(temperature_mean * temperature_count) / nullif(sum(temperature_count), 0) AS mean_celsius,
    max(temperature_max) AS hottest_celsius
FROM readings_hourly
WHERE dt >= CAST(CAST(current_date - interval '1' day AS date) AS varchar)
GROUP BY hour_start
ORDER BY hour_start
