-- One row a device and hour of event time, from the readings of these hours.
SELECT
    device_id,
    MAX_BY(site, ROW(ts, seq)) AS site,
    MAX(model) AS model,
    hour_start,
    COUNT(*) AS received,
    -- A device may send the first and the last number there is, and one more than their distance is no bigint.
    CAST(
        LEAST(CAST(MAX(seq) AS DECIMAL(20, 0)) - MIN(seq) + 1, 9223372036854775807) AS BIGINT
    ) AS expected,
    CAST(SUM(copies) - COUNT(*) AS BIGINT) AS duplicates,
{%- for status in statuses|sort %}
    COUNT(CASE WHEN status = {{ literal(status) }} THEN 1 END) AS status_{{ status }},
{%- endfor %}
{%- for metric in metrics %}
    COUNT({{ metric }}) AS {{ metric }}_count,
    MIN({{ metric }}) AS {{ metric }}_min,
    AVG({{ metric }}) AS {{ metric }}_mean,
    MAX({{ metric }}) AS {{ metric }}_max,
    PERCENTILE_CONT(0.95) WITHIN GROUP (ORDER BY {{ metric }}) AS {{ metric }}_p95,
    STDDEV_SAMP({{ metric }}) AS {{ metric }}_stddev{{ "," if not loop.last }}
{%- endfor %}
FROM readings_of_hours
GROUP BY hour_start, device_id
