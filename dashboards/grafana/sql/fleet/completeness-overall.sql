SELECT least(CAST(sum(received) AS double) / nullif(sum(expected), 0), 1e0) AS complete
FROM device_health
WHERE dt BETWEEN $__rawTimeFrom('yyyy-MM-dd') AND $__rawTimeTo('yyyy-MM-dd') AND site IN (${site:singlequote})
