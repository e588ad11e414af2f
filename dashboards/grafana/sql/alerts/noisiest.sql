WITH changes AS (
    SELECT DISTINCT
        alert_id,
        sequence,
        change,
        rule,
        site,
        device,
        CAST(substr(replace(CAST(changed_at AS varchar), 'T', ' '), 1, 19) AS timestamp) AS changed
    FROM alerts
    WHERE dt >= $__rawTimeFrom('yyyy-MM-dd') AND alert_id <> '' AND site IN (${site:singlequote})
)
SELECT
    rule,
    site,
    device,
    count(CASE WHEN change = 'firing' THEN 1 END) AS fired,
    count(CASE WHEN change = 'flapping' THEN 1 END) AS flapped,
    count(CASE WHEN change = 'escalated' THEN 1 END) AS escalated,
    count(CASE WHEN change = 'acknowledged' THEN 1 END) AS acknowledged
FROM changes
WHERE $__timeFilter(changed)
GROUP BY rule, site, device
ORDER BY fired DESC, rule, device
LIMIT 20
