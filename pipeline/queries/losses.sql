-- title: Losses by device
-- description: The 20 devices with the most numbers missing in seq over the last 7 days, in how many gaps, and when
SELECT
    device_id,
    max_by(site, dt) AS site,
    sum(gaps) AS times,
    sum(lost) AS missing,
    CAST(sum(lost) AS double) / (sum(received) + sum(lost)) AS share,
    max_by(dt, lost) AS worst_day
FROM device_health
WHERE dt >= CAST(CAST(current_date - interval '7' day AS date) AS varchar)
GROUP BY device_id
HAVING sum(lost) > 0
ORDER BY missing DESC, device_id
LIMIT 20
