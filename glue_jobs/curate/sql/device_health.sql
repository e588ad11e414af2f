-- One row a device, from the readings of one day.
--
-- The slope is that of least squares, n·Σxy − Σx·Σy over n·Σx² − (Σx)², in whole milliseconds and microvolts: sums of
-- whole numbers are the same in any order, so that the order of files and threads changes nothing.
SELECT
    summed.device_id,
    summed.site,
    summed.model,
    summed.day_start,
    summed.first_seen,
    summed.last_seen,
    summed.received,
    summed.gaps,
    summed.lost,
    CAST(
        LEAST(
            CASE
                WHEN registry.interval_seconds > 0 THEN GREATEST(FLOOR(summed.span_seconds / registry.interval_seconds + 0.5) + 1, 1)
                ELSE CAST(summed.received AS DOUBLE) + summed.lost
            END,
            9.2e18
        ) AS BIGINT
    ) AS expected,
    LEAST(
        summed.received / CASE
            WHEN registry.interval_seconds > 0 THEN GREATEST(FLOOR(summed.span_seconds / registry.interval_seconds + 0.5) + 1, 1)
            ELSE CAST(summed.received AS DOUBLE) + summed.lost
        END,
        1.0
    ) AS completeness,
    summed.duplicates,
    summed.lateness_p50,
    summed.lateness_p95,
    summed.battery_last,
    CASE
        WHEN summed.n * summed.sum_xx - summed.sum_x * summed.sum_x > 0
            THEN
                CAST(summed.n * summed.sum_xy - summed.sum_x * summed.sum_y AS DOUBLE)
                / CAST(summed.n * summed.sum_xx - summed.sum_x * summed.sum_x AS DOUBLE)
                * 86.4
    END AS battery_trend
FROM (
    SELECT
        device_id,
        MAX(CASE WHEN following IS NULL THEN site END) AS site,
        MAX(CASE WHEN following IS NULL THEN model END) AS model,
        DATE_TRUNC('day', MIN(ts)) AS day_start,
        MIN(ts) AS first_seen,
        MAX(ts) AS last_seen,
        (EPOCH_US(MAX(ts)) - EPOCH_US(MIN(ts))) / 1000000.0 AS span_seconds,
        COUNT(*) AS received,
        COUNT(CASE WHEN missing > 0 THEN 1 END) AS gaps,
        CAST(LEAST(SUM(CASE WHEN missing > 0 THEN missing ELSE 0 END), 9223372036854775807) AS BIGINT) AS lost,
        CAST(SUM(copies) - COUNT(*) AS BIGINT) AS duplicates,
        PERCENTILE_CONT(0.5) WITHIN GROUP (ORDER BY lateness) AS lateness_p50,
        PERCENTILE_CONT(0.95) WITHIN GROUP (ORDER BY lateness) AS lateness_p95,
        MAX_BY(battery, CASE WHEN battery IS NOT NULL THEN ROW(ts, seq) END) AS battery_last,
        CAST(COUNT(y) AS DECIMAL(38, 0)) AS n,
        CAST(SUM(CASE WHEN y IS NOT NULL THEN x END) AS DECIMAL(38, 0)) AS sum_x,
        CAST(SUM(y) AS DECIMAL(38, 0)) AS sum_y,
        CAST(SUM(x * y) AS DECIMAL(38, 0)) AS sum_xy,
        CAST(SUM(CASE WHEN y IS NOT NULL THEN x * x END) AS DECIMAL(38, 0)) AS sum_xx
    FROM (
        SELECT
            *,
            CAST(seq AS DECIMAL(20, 0)) - LAG(seq) OVER (PARTITION BY device_id ORDER BY ts, seq) - 1 AS missing,
            LEAD(seq) OVER (PARTITION BY device_id ORDER BY ts, seq) AS following,
            (EPOCH_US(arrived) - EPOCH_US(ts)) / 1000000.0 AS lateness,
            CAST((EPOCH_US(ts) - EPOCH_US(DATE_TRUNC('day', ts))) / 1000 AS DECIMAL(9, 0)) AS x,
            CAST(battery * 1000000.0 AS DECIMAL(9, 0)) AS y
        FROM readings_of_day
    ) AS timed
    GROUP BY device_id
) AS summed
LEFT JOIN registry ON summed.device_id = registry.device_id
