-- title: Conflicts by device
-- description: Readings of the last 30 days that had the device_id and seq of another one, as when devices share an id
SELECT
    regexp_extract(line, '"device_id"\s*:\s*"([^"]*)"', 1) AS device_id,
    count(*) AS conflicts,
    min(ts) AS first_ts,
    max(ts) AS last_ts,
    max(arrived) AS last_arrived,
    max_by(detail, arrived) AS newest_detail,
    max_by(line, arrived) AS newest_line
FROM quarantine
WHERE dt >= CAST(CAST(current_date - interval '30' day AS date) AS varchar) AND reason = 'conflict'
GROUP BY 1
ORDER BY conflicts DESC, device_id
LIMIT 50
