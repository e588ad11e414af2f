-- Lines to typed columns, and whether each line is for certain the reading that telemetry.codec makes of it.
--
-- In doubt the answer is no, and the codec decides; so this may be stricter than the codec and never laxer.
-- What DuckDB's JSON takes and the codec refuses, or reads otherwise, is kept out as follows:
--   NaN, Infinity and commas before a brace     as many keys as fields found, so all values are scalars of the right
--   a key twice (the codec takes the last)      type, and no comma at the end; or, where there are other fields, no
--   nesting too deep for the codec              key twice, none of these words or commas, and no long line
--   numbers for strings, 1.0 or true for 1      json_type
--   24:00:00, offsets beyond a day, 7 decimals  the pattern of a time
SELECT
    object_no,
    raw_line,
{%- for field in fields %}
    {{ "instant" if field.kind == "timestamp" else "value" }}.{{ field.name }},
{%- endfor %}
    COALESCE(
        CASE
            WHEN len(json_keys) = list_count(json_types)
                THEN regexp_matches(line, '[^,\s]\}\s*$')
            ELSE
                len(json_keys) = len(list_distinct(json_keys))
                AND length(line) <= 500
                AND NOT regexp_matches(line, '(?i),\s*[\]}]|[\[:,]\s*-?(nan|inf)')
        END
        AND instant.ts BETWEEN earliest AND latest
{%- for field in fields %}
        AND (
            json_types[{{ loop.index }}] IN {{ one_of(json_types[field.kind]) }}
    {%- if field.choices %}
            AND value.{{ field.name }} IN {{ one_of(field.choices) }}
    {%- elif field.kind == "timestamp" %}
            AND instant.{{ field.name }} IS NOT NULL
    {%- else %}
        {%- set measure = "length(value." ~ field.name ~ ")" if field.kind == "string" else "value." ~ field.name %}
        {%- if field.kind == "number" %}
            AND isfinite({{ measure }})
        {%- endif %}
            AND {{ measure }} >= {{ measure if field.minimum is none else field.minimum }}
            AND {{ measure }} <= {{ measure if field.maximum is none else field.maximum }}
    {%- endif %}
    {%- if field.nullable %}
            OR json_types[{{ loop.index }}] = 'NULL'
    {%- endif %}
    {%- if not field.required %}
            OR json_types[{{ loop.index }}] IS NULL
    {%- endif %}
        )
{%- endfor %},
        FALSE
    ) AS certain,
    CASE WHEN NOT certain THEN line END AS undecided
FROM (
    SELECT
        *,
        {
{%- for field in fields if field.kind == "timestamp" %}
            {{ field.name }}: CASE
                WHEN regexp_full_match(
                    value.{{ field.name }},
                    '\d{4}-\d\d-\d\d[T ]([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d{1,6})?(Z|[+-]([01]\d|2[0-3]):[0-5]\d)'
                )
                    THEN TRY_CAST(value.{{ field.name }} AS TIMESTAMPTZ) AT TIME ZONE 'UTC'
            END{{ "," if not loop.last }}
{%- endfor %}
        } AS instant
    FROM (
        SELECT
            object_no,
            raw_line,
            line,
            json_keys(json) AS json_keys,
            json_type(json, [{% for field in fields %}'$.{{ field.name }}'{{ ", " if not loop.last }}{% endfor %}]) AS json_types,
            json_transform(json, '{ {%- for field in fields %}"{{ field.name }}": "{{ "VARCHAR" if field.kind == "timestamp" else duckdb_types[field.kind] }}"{{ ", " if not loop.last }}{% endfor -%} }') AS value
        FROM (
            SELECT object_no, raw_line, line, CASE WHEN json_valid(line) THEN line END AS json
            FROM lines
        )
    )
)
INNER JOIN objects USING (object_no)
