SELECT day_start AS time, site, max(lateness_p95) AS latest
FROM device_health
WHERE dt BETWEEN $__rawTimeFrom('yyyy-MM-dd') AND $__rawTimeTo('yyyy-MM-dd') AND site IN (${site:singlequote})
GROUP BY 1, 2
ORDER BY 1, 2
