-- title: Late data by site
-- description: How late the readings of yesterday and today came, by site, in seconds: median, p95, the latest
-- Counted by the second first: percentiles of that need no sorting of all readings, and are exact to the second.
WITH by_second AS (
    SELECT site, date_diff('second', ts, arrived) AS lateness, count(*) AS n
    FROM readings
    WHERE dt >= CAST(CAST(current_date - interval '1' day AS date) AS varchar)
    GROUP BY 1, 2
),
counted AS (
    SELECT
        site,
        lateness,
        n,
        sum(n) OVER (PARTITION BY site ORDER BY lateness) AS up_to_it,
        sum(n) OVER (PARTITION BY site) AS total
    FROM by_second
)
SELECT
    site,
    sum(n) AS readings,
    min(CASE WHEN up_to_it >= 0.5e0 * total THEN lateness END) AS p50_seconds,
    min(CASE WHEN up_to_it >= 0.95e0 * total THEN lateness END) AS p95_seconds,
    max(lateness) AS latest_seconds,
    sum(CASE WHEN lateness > 3600 THEN n ELSE 0 END) AS over_an_hour
FROM counted
GROUP BY site
ORDER BY p95_seconds DESC, site
