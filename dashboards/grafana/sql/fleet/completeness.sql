SELECT
    day_start AS time,
    site,
    least(CAST(sum(received) AS double) / nullif(sum(expected), 0), 1e0) AS complete
FROM device_health
WHERE dt BETWEEN $__rawTimeFrom('yyyy-MM-dd') AND $__rawTimeTo('yyyy-MM-dd') AND site IN (${site:singlequote})
GROUP BY 1, 2
ORDER BY 1, 2
