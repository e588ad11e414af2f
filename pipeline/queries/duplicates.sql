-- title: Duplicates by device
-- description: The 20 devices most of whose readings of the last 7 days came again and were removed, and when
SELECT
    device_id,
    max_by(site, dt) AS site,
    sum(received) AS readings,
    sum(duplicates) AS removed,
    CAST(sum(duplicates) AS double) / (sum(received) + sum(duplicates)) AS share,
    max_by(dt, duplicates) AS worst_day
FROM device_health
WHERE dt >= CAST(CAST(current_date - interval '7' day AS date) AS varchar)
GROUP BY device_id
HAVING sum(duplicates) > 0
ORDER BY removed DESC, device_id
LIMIT 20
