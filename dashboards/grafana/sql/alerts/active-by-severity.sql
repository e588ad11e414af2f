-- As active.sql has them.
WITH changes AS (
    SELECT status, severity, row_number() OVER (PARTITION BY alert_id ORDER BY sequence DESC) AS nth
    FROM alerts
    WHERE
        dt >= CAST(CAST(current_date - interval '30' day AS date) AS varchar)
        AND alert_id <> ''
        AND site IN (${site:singlequote})
)
SELECT
    count(CASE WHEN severity = 'page' THEN 1 END) AS page,
    count(CASE WHEN severity = 'critical' THEN 1 END) AS critical,
    count(CASE WHEN severity = 'warning' THEN 1 END) AS warning,
    count(CASE WHEN severity = 'info' THEN 1 END) AS info
FROM changes
WHERE nth = 1 AND status = 'firing'
