SELECT
    device_id,
    max_by(site, dt) AS site,
    sum(received) AS received,
    sum(expected) AS expected,
    sum(gaps) AS gaps,
    least(CAST(sum(received) AS double) / nullif(sum(expected), 0), 1e0) AS complete
FROM device_health
WHERE dt BETWEEN $__rawTimeFrom('yyyy-MM-dd') AND $__rawTimeTo('yyyy-MM-dd') AND site IN (${site:singlequote})
GROUP BY device_id
ORDER BY complete, expected DESC, device_id
LIMIT 20
