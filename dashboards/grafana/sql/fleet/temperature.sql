SELECT
    hour_start AS time,
    site,
    sum(temperature_mean * temperature_count) / nullif(sum(temperature_count), 0) AS mean
FROM readings_hourly
WHERE dt BETWEEN $__rawTimeFrom('yyyy-MM-dd') AND $__rawTimeTo('yyyy-MM-dd') AND site IN (${site:singlequote})
GROUP BY 1, 2
ORDER BY 1, 2
