-- One row a site, from the hours of one day.
SELECT
    site,
    DATE_TRUNC('day', MIN(hour_start)) AS day_start,
    COUNT(DISTINCT device_id) AS devices,
    CAST(SUM(received) AS BIGINT) AS received,
    CAST(SUM(duplicates) AS BIGINT) AS duplicates,
{%- for status in statuses|sort %}
    CAST(SUM(status_{{ status }}) AS BIGINT) AS status_{{ status }},
{%- endfor %}
{%- for metric in metrics %}
    CAST(SUM({{ metric }}_count) AS BIGINT) AS {{ metric }}_count,
    MIN({{ metric }}_min) AS {{ metric }}_min,
    SUM({{ metric }}_mean * {{ metric }}_count) / SUM(CASE WHEN {{ metric }}_count > 0 THEN {{ metric }}_count END) AS {{ metric }}_mean,
    MAX({{ metric }}_max) AS {{ metric }}_max{{ "," if not loop.last }}
{%- endfor %}
FROM hours_of_day
GROUP BY site
