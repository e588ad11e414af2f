SELECT site
FROM devices
UNION
SELECT site
FROM device_health
WHERE dt >= CAST(CAST(current_date - interval '30' day AS date) AS varchar)
ORDER BY site
