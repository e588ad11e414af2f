SELECT count(*) AS registered
FROM devices
WHERE site IN (${site:singlequote})
