-- Readings that contradict the one of their (device_id, seq) that came first.
SELECT ts, raw_object, raw_line, first_object, first_line
FROM repeated
WHERE NOT same
