-- One row a device and event hour, from the readings of these hours.
SELECT
    device_id,
    MAX(CASE WHEN newest = 1 THEN site END) AS site,
    DATE_TRUNC('hour', MIN(ts)) AS hour_start,
    COUNT(*) AS received,
    -- A device may send the first and the last number there is, and one more than their distance is no bigint.
    CAST(
        LEAST(CAST(MAX(seq) AS DECIMAL(20, 0)) - MIN(seq) + 1, 9223372036854775807) AS BIGINT
    ) AS expected,
    SUM(copies) - COUNT(*) AS duplicates,
{%- for status in statuses %}
    COUNT(CASE WHEN status = {{ literal(status) }} THEN 1 END) AS status_{{ status }},
{%- endfor %}
{%- for metric in metrics %}
    COUNT({{ metric }}) AS {{ metric }}_count,
    MIN({{ metric }}) AS {{ metric }}_min,
    AVG({{ metric }}) AS {{ metric }}_mean,
    MAX({{ metric }}) AS {{ metric }}_max,
    PERCENTILE_CONT(0.95) WITHIN GROUP (ORDER BY {{ metric }}) AS {{ metric }}_p95,
    STDDEV_SAMP({{ metric }}) AS {{ metric }}_stddev,
{%- endfor %}
    dt,
    hour
FROM (
    SELECT
        *,
        ROW_NUMBER() OVER (PARTITION BY dt, hour, device_id ORDER BY ts DESC, seq DESC) AS newest
    FROM readings
) AS ranked
GROUP BY dt, hour, device_id
ORDER BY dt, hour, device_id
