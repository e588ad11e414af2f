-- title: How long alerts last
-- description: From firing to resolved, by rule, for alerts that resolved in the last 7 days: median, p95 and longest
-- Times are text here (the local AWS takes them for times); a change that was sent twice counts once.
WITH resolved AS (
    SELECT DISTINCT
        alert_id,
        rule,
        date_diff(
            'second',
            CAST(substr(replace(CAST(fired_at AS varchar), 'T', ' '), 1, 19) AS timestamp),
            CAST(substr(replace(CAST(changed_at AS varchar), 'T', ' '), 1, 19) AS timestamp)
        ) AS seconds
    FROM alerts
    WHERE
        dt >= CAST(CAST(current_date - interval '7' day AS date) AS varchar)
        AND change = 'resolved'
        AND fired_at IS NOT NULL
),
ranked AS (
    SELECT rule, seconds, cume_dist() OVER (PARTITION BY rule ORDER BY seconds) AS up_to_it
    FROM resolved
)
SELECT
    rule,
    count(*) AS alerts,
    min(CASE WHEN up_to_it >= 0.5e0 THEN seconds END) / 60e0 AS median_minutes,
    min(CASE WHEN up_to_it >= 0.95e0 THEN seconds END) / 60e0 AS p95_minutes,
    max(seconds) / 60e0 AS longest_minutes
FROM ranked
GROUP BY rule
ORDER BY alerts DESC, rule
