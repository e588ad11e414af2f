-- What parsing leaves behind, and as what the other steps see it.
CREATE TABLE objects (
    object_no BIGINT,
    raw_object VARCHAR,
    dt VARCHAR,
    hour VARCHAR,
    earliest TIMESTAMP,
    latest TIMESTAMP
);

CREATE TABLE accepted (
{%- for field in fields %}
    {{ field.name }} {{ duckdb_types[field.kind] }},
{%- endfor %}
    object_no BIGINT,
    raw_line BIGINT,
    -- The line, until the codec has decided.
    undecided VARCHAR
);

CREATE TABLE refused (
    reason VARCHAR,
    detail VARCHAR,
    line VARCHAR,
    object_no BIGINT,
    raw_line BIGINT
);

CREATE TABLE touched (hour_start TIMESTAMP);

CREATE VIEW parsed AS
SELECT
{%- for field in fields %}
    {{ field.name }},
{%- endfor %}
    raw_object,
    raw_line
FROM accepted
INNER JOIN objects USING (object_no);

CREATE VIEW rejected AS
SELECT reason, detail, line, raw_object, raw_line, dt, hour
FROM refused
INNER JOIN objects USING (object_no);
