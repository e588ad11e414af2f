-- title: Quarantine by reason
-- description: Lines of the last 7 days that are in no other table, by reason: how many, since when, newest detail
SELECT
    reason,
    count(*) AS lines,
    count(DISTINCT raw_object) AS objects,
    min(arrived) AS first_arrived,
    max(arrived) AS last_arrived,
    max_by(detail, arrived) AS newest_detail
FROM quarantine
WHERE dt >= CAST(CAST(current_date - interval '7' day AS date) AS varchar)
GROUP BY reason
ORDER BY lines DESC, reason
