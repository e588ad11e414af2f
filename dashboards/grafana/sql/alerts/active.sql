-- The last change that is known of each alert. Of one whose last change is older than 30 days nothing is known.
WITH changes AS (
    SELECT
        alert_id, status, severity, rule, site, device, gateway, held, value, threshold, summary, runbook,
        CAST(substr(replace(CAST(fired_at AS varchar), 'T', ' '), 1, 19) AS timestamp) AS fired,
        row_number() OVER (PARTITION BY alert_id ORDER BY sequence DESC) AS nth
    FROM alerts
    WHERE
        dt >= CAST(CAST(current_date - interval '30' day AS date) AS varchar)
        AND alert_id <> ''
        AND site IN (${site:singlequote})
)
SELECT
    severity,
    rule,
    site,
    device,
    gateway,
    fired,
    date_diff('second', fired, CAST(current_timestamp AT TIME ZONE 'UTC' AS timestamp)) AS lasting,
    held,
    value,
    threshold,
    summary,
    runbook
FROM changes
WHERE nth = 1 AND status = 'firing'
ORDER BY fired DESC, rule, device
