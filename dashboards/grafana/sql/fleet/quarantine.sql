-- By arrival; of no site, as a line that is no reading has none.
SELECT date_trunc('hour', arrived) AS time, reason, count(*) AS lines
FROM quarantine
WHERE dt BETWEEN $__rawTimeFrom('yyyy-MM-dd') AND $__rawTimeTo('yyyy-MM-dd')
GROUP BY 1, 2
ORDER BY 1, 2
