-- title: Least complete devices
-- description: The 20 devices of which the least of the expected readings came, over the last 7 days
SELECT
    device_id,
    max_by(site, dt) AS site,
    count(*) AS days,
    sum(received) AS readings,
    sum(expected) AS should_be,
    least(CAST(sum(received) AS double) / nullif(sum(expected), 0), 1e0) AS complete
FROM device_health
WHERE dt >= CAST(CAST(current_date - interval '7' day AS date) AS varchar)
GROUP BY device_id
ORDER BY complete, should_be DESC, device_id
LIMIT 20
