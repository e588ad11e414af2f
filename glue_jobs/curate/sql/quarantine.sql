-- Every line that is no reading, by arrival.
SELECT reason, detail, line, raw_object, raw_line, dt, hour
FROM rejected
ORDER BY dt, hour, raw_object, raw_line
