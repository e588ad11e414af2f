-- Readings whose (device_id, seq) arrived more than once for an event hour: which came first, and which have its content.
SELECT
    *,
    SUM(CASE WHEN same THEN 1 ELSE 0 END) OVER (PARTITION BY hour_start, device_id, seq) AS copies
FROM (
    SELECT
        parsed.*,
        ROW_NUMBER() OVER arrival AS nth,
        FIRST_VALUE(parsed.raw_object) OVER arrival AS first_object,
        FIRST_VALUE(parsed.raw_line) OVER arrival AS first_line,
        (
{%- for field in fields if field.name not in ("device_id", "seq") %}
            {{ "AND " if not loop.first }}parsed.{{ field.name }} IS NOT DISTINCT FROM FIRST_VALUE(parsed.{{ field.name }}) OVER arrival
{%- endfor %}
        ) AS same
    FROM parsed
    INNER JOIN (
        SELECT hour_start, device_id, seq
        FROM parsed
        GROUP BY hour_start, device_id, seq
        HAVING COUNT(*) > 1
    ) AS keys
        ON parsed.hour_start = keys.hour_start AND parsed.device_id = keys.device_id AND parsed.seq = keys.seq
    WINDOW arrival AS (
        PARTITION BY parsed.hour_start, parsed.device_id, parsed.seq
        ORDER BY parsed.arrived, parsed.raw_object, parsed.raw_line
    )
) AS compared
