-- Readings received and expected, of all devices of one day: what more than was expected came of one makes up for none.
SELECT
    SUM(CAST(LEAST(received, expected) AS DECIMAL(38, 0))) AS received,
    SUM(CAST(expected AS DECIMAL(38, 0))) AS expected
FROM device_health
