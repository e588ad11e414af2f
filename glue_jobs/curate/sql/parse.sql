-- Lines to typed columns, and whether each line is for certain the reading that telemetry.reading.codec makes of it.
--
-- In doubt the answer is no, and the codec decides; so this may be stricter than the codec and never laxer.
-- A plain line has the fields in the order of the contract, each once, and nothing that needs a second look: one
-- pattern says so. Of others, what DuckDB's JSON takes and the codec refuses, or reads otherwise, is kept out as follows:
--   NaN, Infinity and commas before a brace     as many keys as fields found, so all values are scalars of the right
--   a key twice (the codec takes the last)      type, and no comma at the end; or, where there are other fields, no
--                                               key twice, and none of these words or commas
--   nesting too deep for the codec              no long line
--   numbers of more than 768 digits             no long line
--   numbers for strings, 1.0 or true for 1      json_type
--   24:00:00, offsets beyond a day, 7 decimals  the pattern of a time
SELECT
    object_no,
    raw_line,
    raw_offset,
{%- for field in fields %}
    {{ "instant" if field.kind == "timestamp" else "value" }}.{{ field.name }},
{%- endfor %}
    COALESCE(
        CASE
            WHEN plain THEN TRUE
            WHEN json IS NULL OR strlen(line) > 500 THEN FALSE
            WHEN len(json_keys(json)) = list_count({{ json_types_of }})
                THEN regexp_matches(line, '[^,\s]\}\s*$')
            ELSE
                len(json_keys(json)) = len(list_distinct(json_keys(json)))
                AND NOT regexp_matches(line, '(?i),\s*[\]}]|[\[:,]\s*-?(nan|inf)')
        END
        AND CASE
            WHEN plain THEN TRUE
            ELSE TRUE
{%- for field in fields %}
                AND (
                    {{ json_types_of }}[{{ loop.index }}] IN {{ literals(json_types[field.kind]) }}
    {%- if field.nullable %}
                    OR {{ json_types_of }}[{{ loop.index }}] = 'NULL'
    {%- endif %}
    {%- if not field.required %}
                    OR {{ json_types_of }}[{{ loop.index }}] IS NULL
    {%- endif %}
                )
{%- endfor %}
        END
        AND instant.ts BETWEEN GETVARIABLE('earliest')[object_no + 1] AND GETVARIABLE('latest')[object_no + 1]
{%- for field in fields %}
    {%- set column = "value." ~ field.name %}
    {%- if field.choices %}
        AND {{ column }} IN {{ literals(field.choices) }}
    {%- elif field.kind == "timestamp" %}
        AND instant.{{ field.name }} IS NOT NULL
    {%- else %}
        {%- set measure = "length(" ~ column ~ ")" if field.kind == "string" else column %}
        AND {{ "(" ~ column ~ " IS NULL OR (" if field.nullable }}
        {%- if field.kind == "number" %}isfinite({{ measure }}) AND {% endif -%}
        {{ measure }} >= {{ measure if field.minimum is none else field.minimum }} AND {{ measure }} <= {{ measure if field.maximum is none else field.maximum }}
        {{- "))" if field.nullable }}
    {%- endif %}
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
                WHEN plain THEN TRY_CAST(value.{{ field.name }} AS TIMESTAMP)
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
            *,
            json_transform(json, '{ {%- for field in fields %}"{{ field.name }}": "{{ "VARCHAR" if field.kind == "timestamp" else duckdb_types[field.kind] }}"{{ ", " if not loop.last }}{% endfor -%} }') AS value
        FROM (
            SELECT
                *,
                CASE WHEN plain OR json_valid(line) THEN line END AS json
            FROM (
                SELECT *, strlen(line) <= 500 AND regexp_full_match(line, {{ plain_line }}) AS plain
                FROM lines
                -- A line that has only its end is nothing; Firehose puts one after every record that ends its last line.
                WHERE line <> chr(10)
            )
        )
    )
)
