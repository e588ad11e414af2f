SELECT
    hour_start AS time,
    count(*) AS devices,
    sum(received) AS received,
    sum(expected) - sum(received) AS missing,
    sum(duplicates) AS repeated,
    sum(status_fault) AS faults
FROM readings_hourly
WHERE dt BETWEEN $__rawTimeFrom('yyyy-MM-dd') AND $__rawTimeTo('yyyy-MM-dd') AND site IN (${site:singlequote})
GROUP BY 1
ORDER BY 1
