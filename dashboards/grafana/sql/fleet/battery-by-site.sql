SELECT day_start AS time, site, min(battery_last) AS lowest
FROM device_health
WHERE
    dt BETWEEN $__rawTimeFrom('yyyy-MM-dd') AND $__rawTimeTo('yyyy-MM-dd')
    AND site IN (${site:singlequote})
    AND battery_last IS NOT NULL
GROUP BY 1, 2
ORDER BY 1, 2
