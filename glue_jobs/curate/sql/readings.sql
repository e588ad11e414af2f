-- Each (device_id, seq) of an event hour once: the first to arrive, with how many there were.
SELECT
{%- for field in fields %}
    {{ field.name }},
{%- endfor %}
    raw_object,
    raw_line,
    CAST(CAST(hour_start AS DATE) AS VARCHAR) AS dt,
    LPAD(CAST(EXTRACT(HOUR FROM hour_start) AS VARCHAR), 2, '0') AS hour,
    copies
FROM (
    SELECT
        *,
        ROW_NUMBER() OVER (
            PARTITION BY hour_start, device_id, seq
            ORDER BY raw_object, raw_line
        ) AS nth,
        COUNT(*) OVER (PARTITION BY hour_start, device_id, seq) AS copies
    FROM (
        SELECT *, DATE_TRUNC('hour', ts) AS hour_start
        FROM parsed
    ) AS timed
) AS ranked
WHERE nth = 1
ORDER BY hour_start, device_id, seq
