-- title: Alerts by rule
-- description: How often each rule's alerts fired, escalated, flapped, were acknowledged, resolved, in the last 7 days
-- Times are text here (the local AWS takes them for times); a change that was sent twice counts once.
SELECT
    rule,
    count(DISTINCT CASE WHEN change = 'firing' THEN alert_id END) AS fired,
    count(DISTINCT CASE WHEN change = 'escalated' THEN alert_id END) AS escalated,
    count(DISTINCT CASE WHEN change = 'flapping' THEN alert_id END) AS flapped,
    count(DISTINCT CASE WHEN change = 'acknowledged' THEN alert_id END) AS acknowledged,
    count(DISTINCT CASE WHEN change = 'resolved' THEN alert_id END) AS resolved,
    count(DISTINCT CASE WHEN change = 'firing' THEN device END) AS devices,
    count(DISTINCT CASE WHEN change = 'firing' THEN site END) AS sites,
    max(
        CASE
            WHEN change = 'firing'
            THEN CAST(substr(replace(CAST(changed_at AS varchar), 'T', ' '), 1, 19) AS timestamp)
        END
    ) AS last_fired
FROM alerts
WHERE dt >= CAST(CAST(current_date - interval '7' day AS date) AS varchar)
GROUP BY rule
ORDER BY fired DESC, rule
