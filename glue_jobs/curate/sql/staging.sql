-- What parsing leaves behind, and as what the other steps see it.
CREATE TABLE objects (
    object_no BIGINT,
    raw_object VARCHAR,
    arrived TIMESTAMP,
    earliest TIMESTAMP,
    latest TIMESTAMP
);

CREATE TABLE accepted (
{%- for field in fields %}
    {{ field.name }} {{ duckdb_types[field.kind] }},
{%- endfor %}
    object_no BIGINT,
    raw_line BIGINT,
    raw_offset BIGINT
);

CREATE TABLE refused (
    reason VARCHAR,
    detail VARCHAR,
    line VARCHAR,
    object_no BIGINT,
    raw_line BIGINT,
    raw_offset BIGINT
);

-- The event hours that a pass over other objects is about.
CREATE TABLE wanted (hour_start TIMESTAMP);

CREATE TABLE contradicting (ts TIMESTAMP, raw_object VARCHAR, raw_line BIGINT, first_object VARCHAR, first_line BIGINT);

CREATE TABLE quarantined (
    id VARCHAR,
    reason VARCHAR,
    detail VARCHAR,
    line VARCHAR,
    arrived TIMESTAMP,
    ts TIMESTAMP,
    raw_object VARCHAR,
    raw_line BIGINT,
    raw_offset BIGINT
);

CREATE TABLE registry (
{%- for column in devices.columns %}
    {{ column.name }} {{ column.type }}{{ "," if not loop.last }}
{%- endfor %}
);
