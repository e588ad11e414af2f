-- Partitioned by arrival: a change that was told late lies on a later day. One that was sent twice counts once.
WITH fired AS (
    SELECT DISTINCT
        alert_id,
        site,
        CAST(substr(replace(CAST(changed_at AS varchar), 'T', ' '), 1, 19) AS timestamp) AS changed
    FROM alerts
    WHERE
        dt >= $__rawTimeFrom('yyyy-MM-dd')
        AND change = 'firing'
        AND site IN (${site:singlequote})
)
SELECT date_trunc('hour', changed) AS time, site, count(*) AS alerts
FROM fired
WHERE $__timeFilter(changed)
GROUP BY 1, 2
ORDER BY 1, 2
