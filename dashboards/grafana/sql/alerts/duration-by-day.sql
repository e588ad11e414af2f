-- Of the alerts that resolved on the day.
WITH resolved AS (
    SELECT DISTINCT
        alert_id,
        rule,
        CAST(substr(replace(CAST(changed_at AS varchar), 'T', ' '), 1, 19) AS timestamp) AS changed,
        date_diff(
            'second',
            CAST(substr(replace(CAST(fired_at AS varchar), 'T', ' '), 1, 19) AS timestamp),
            CAST(substr(replace(CAST(changed_at AS varchar), 'T', ' '), 1, 19) AS timestamp)
        ) AS seconds
    FROM alerts
    WHERE
        dt >= $__rawTimeFrom('yyyy-MM-dd')
        AND change = 'resolved'
        AND fired_at IS NOT NULL
        AND site IN (${site:singlequote})
)
SELECT
    date_trunc('day', changed) AS time,
    approx_percentile(seconds, 0.5) AS median,
    approx_percentile(seconds, 0.95) AS p95
FROM resolved
WHERE $__timeFilter(changed)
GROUP BY 1
ORDER BY 1
