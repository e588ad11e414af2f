-- Each (device_id, seq) of an event hour once: the first to arrive, calibrated, with what the registry knows of the device.
SELECT
{%- for field in fields %}
    {{ "once." ~ field.name ~ " + COALESCE(registry.calibration_offset, 0.0) AS " ~ field.name if field.name == calibrated else "once." ~ field.name }},
{%- endfor %}
    once.{{ calibrated }} AS {{ calibrated }}_raw,
    registry.model,
    registry.latitude,
    registry.longitude,
    once.copies,
    once.arrived,
    once.raw_object,
    once.raw_line,
    once.hour_start
FROM (
    SELECT
    {%- for field in fields %}
        parsed.{{ field.name }},
    {%- endfor %}
        parsed.arrived,
        parsed.raw_object,
        parsed.raw_line,
        parsed.hour_start,
        CAST(1 AS BIGINT) AS copies
    FROM parsed
    LEFT JOIN repeated
        ON
            parsed.hour_start = repeated.hour_start
            AND parsed.device_id = repeated.device_id
            AND parsed.seq = repeated.seq
            AND repeated.nth = 1
    WHERE repeated.nth IS NULL
    UNION ALL
    SELECT
    {%- for field in fields %}
        {{ field.name }},
    {%- endfor %}
        arrived,
        raw_object,
        raw_line,
        hour_start,
        CAST(copies AS BIGINT) AS copies
    FROM repeated
    WHERE nth = 1
) AS once
LEFT JOIN registry ON once.device_id = registry.device_id
